"""Hooks of MkDocs: the pages of `docs/` are written for the repository, and these make a site of them.

Links to files outside the site become plain names. Mermaid diagrams become the pictures that
`npm run diagrams` drew. The build fails if a page would load anything from another host.
"""

import hashlib
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.docs.error_tree import error_tree

ROOT = Path(__file__).resolve().parents[2]
PROJECT_PAGES = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Pages at the repository's root that the site has under `project/`."""
MARKER = "<!-- errors: tree -->"
_FENCE = re.compile(r"^(?:```|~~~).*?^(?:```|~~~)[ \t]*$", re.MULTILINE | re.DOTALL)
_MERMAID = re.compile(r"^```mermaid\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_EXTERNAL = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^>]*>")


def on_files(files: Any, config: Any) -> Any:
    """Adds the project's own pages to the site."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - only the venv of the documentation has it

    for name in PROJECT_PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, f"project/{name}", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Returns the page as the site shows it."""
    return site_text(markdown, page.file.src_uri)


def site_text(markdown: str, source: str) -> str:
    """Returns a page of the repository as a page of the site. `source` is its path on the site."""
    if MARKER in markdown:
        errors = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
        markdown = markdown.replace(MARKER, error_tree(errors))
    markdown = _MERMAID.sub(lambda found: _picture(found[1], source), markdown)
    return _outside_fences(markdown, lambda text: _LINK.sub(lambda found: _link(found, source), text))


def on_post_build(config: Any) -> None:
    """Fails if a page of the site loads anything from another host.

    Raises:
        RuntimeError: It names the pages and what they would load.
    """
    wrong = [
        f"{path.name}: {found[0]}"
        for path in sorted(Path(config["site_dir"]).rglob("*.html"))
        for found in _EXTERNAL.finditer(path.read_text(encoding="utf-8"))
        if 'rel="canonical"' not in found[0]
    ]
    if wrong:
        raise RuntimeError("pages that load from other hosts:\n" + "\n".join(wrong))


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(markdown[end:])])


def _picture(diagram: str, source: str) -> str:
    """Returns the picture of a Mermaid diagram.

    Raises:
        FileNotFoundError: The diagram has changed since the pictures were drawn.
    """
    name = f"images/diagrams/{hashlib.sha256(diagram.encode()).hexdigest()[:16]}.svg"
    if not (ROOT / "docs" / name).exists():
        raise FileNotFoundError(f"{source}: run `npm ci && npm run diagrams` in tests/browser")
    return f"![Diagram]({posixpath.relpath(name, posixpath.dirname(source))})"


def _link(found: re.Match[str], source: str) -> str:
    """Returns a link of the repository as one of the site, or its words where the site lacks the target."""
    mark, words, target = found.groups()
    if re.match(r"[a-z]+:|#", target):
        return found[0]
    path, hash_, fragment = target.partition("#")
    in_repository = source.removeprefix("project/") if source.startswith("project/") else f"docs/{source}"
    full = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), path))
    if full == "docs/adr":
        full = "docs/adr/README.md"
    if full in PROJECT_PAGES:
        to = f"project/{full}"
    elif full == "README.md":
        to, hash_, fragment = "index.md", "", ""
    elif full.startswith("docs/") and (ROOT / full).is_file():
        to = full.removeprefix("docs/")
    else:
        return words if "`" in words else f"`{words}`"
    return f"{mark}[{words}]({posixpath.relpath(to, posixpath.dirname(source))}{hash_}{fragment})"

"""Every path that a page names exists.

Checked are the relative links of each page, their headings, and the repository paths in backticks.
"""

import re
import subprocess
from pathlib import Path

import pytest

from infra.stack import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"[\w.{}*-]+(/[\w.{}*-]+)*/?")
SUFFIX = re.compile(r"\.(py|md|json|yaml|yml|toml|tf|tfvars|txt|js|mjs|css|html|png|sh|example|lock)$")
# A page may leave out these folders: the module's package is clear from the page.
BASES = ("", "chalicelib", "chalicelib/exchanges", "infra", "infra/terraform", "docs")
# Files that are made: by a build, by a running local stack, or by Terraform.
MADE = re.compile(
    r"^(\.local|\.venv|build)(/|$)|^(manifest|routes|sbom)\.json$|^\.terraform\.lock\.hcl$|^(home\.tfvars|backend\.tf)$"
)


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return listed.stdout.splitlines()


TRACKED = _tracked()
FILES = {path for path in TRACKED if (ROOT / path).exists()}
FOLDERS = {str(folder) for path in FILES for folder in Path(path).parents}
TOP = {path.split("/", maxsplit=1)[0] for path in FILES}
PAGES = sorted(path for path in FILES if path.endswith(".md"))
# Decisions and changes keep the names of their time; evidence is generated.
CURRENT = [page for page in PAGES if not re.match(r"CHANGELOG|docs/(adr|evidence)/", page)]


def _anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def _exists(name: str) -> bool:
    """Whether a name in backticks is a file or folder; `{name}` and `*` stand for any."""
    if MADE.search(name):
        return True
    name = name.rstrip("/")
    known = FILES | FOLDERS
    for base in BASES:
        full = f"{base}/{name}" if base else name
        if full in known:
            return True
        pattern = re.sub(r"\\\{[^}]*\\\}|\\\*", r"[^/]+", re.escape(full))
        if pattern != re.escape(full) and any(re.fullmatch(pattern, path) for path in known):
            return True
    return "/" not in name and any(path.endswith(f"/{name}") for path in FILES)


def _is_path(name: str) -> bool:
    """Whether a text in backticks names a file or folder of the repository, and not a route or an option."""
    if not PATH.fullmatch(name) or name.startswith("/"):
        return False
    return bool(SUFFIX.search(name)) or ("/" in name and name.split("/", maxsplit=1)[0] in TOP)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """A relative link of a page leads to a file or folder, and its fragment to a heading there."""
    path = ROOT / page
    wrong = []
    for target in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (fragment and fragment not in _anchors(file)):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("page", CURRENT)
def test_paths_in_backticks_exist(page: str) -> None:
    """A path of the repository that a page names in backticks exists."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    named = {word for code in CODE.findall(text) for word in code.split() if _is_path(word)}
    assert [name for name in sorted(named) if not _exists(name)] == []


def test_evidence_summary_has_the_totals() -> None:
    """`docs/evidence/README.md` gives each matrix the number of its cells."""
    folder = ROOT / "docs" / "evidence"
    summary = (folder / "README.md").read_text(encoding="utf-8")
    for page in folder.glob("*-matrix.md"):
        total = re.search(r"\*\*(\d+ \w+): orders lost 0, doubled 0", page.read_text(encoding="utf-8"))
        assert total, page.name
        assert f"{total.group(1)}: 0" in summary, page.name

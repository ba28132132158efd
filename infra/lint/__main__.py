"""`python -m infra.lint`: finds old names, and banned words in prose.

Each line of a list is a regular expression, a tab and the replacement. An optional third column is a regular
expression of the paths where the word is wrong.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXEMPT = re.compile(
    r"^(CHANGELOG\.md|infra/lint/.*\.txt|docs/adr/.*|docs/evidence/.*|web/vendor/.*|vendor/.*|LICENSE|.*\.lock|.*lock\.json)$"
)
TEXT = re.compile(r"\.(py|js|mjs|html|css|md|yaml|yml|toml|tf|json|txt|sh)$|^(Makefile|\.ci/run)$")
PROSE = re.compile(r"\.md$|^web/.*\.js$|^Makefile$|\.yaml$")


@dataclass(frozen=True, slots=True)
class Rule:
    """A banned word.

    Attributes:
        pattern: The word.
        instead: The replacement.
        paths: The files where the word is wrong.
    """

    pattern: re.Pattern[str]
    instead: str
    paths: re.Pattern[str]


def read_rules(path: Path, flags: int = 0) -> list[Rule]:
    """Returns the rules of a list. Ignores empty lines and lines that begin with `#`."""
    rules = []
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern, instead, *paths = line.split("\t")
        rules.append(Rule(re.compile(pattern, flags), instead, re.compile(paths[0] if paths else "")))
    return rules


def find(rules: list[Rule], path: str, lines: Iterator[tuple[int, str]]) -> list[str]:
    """Returns the findings in these numbered lines of a file."""
    here = [rule for rule in rules if rule.paths.search(path)]
    return [
        f"{path}:{number}: {match.group(0)!r}: write {rule.instead}"
        for number, line in lines
        for rule in here
        if (match := rule.pattern.search(line))
    ]


def prose(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Yields a file's prose lines: all of a page, the docstrings and comments of Python."""
    if PROSE.search(path):
        yield from enumerate(text.splitlines(), 1)
    elif path.endswith(".py"):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            is_docstring = token.type == tokenize.STRING and token.string.lstrip("rR").startswith('"""')
            if token.type == tokenize.COMMENT or is_docstring:
                yield from enumerate(token.string.splitlines(), token.start[0])


def main() -> int:
    """Prints every finding. Returns 1 if there is one."""
    names = read_rules(HERE / "old_names.txt")
    words = read_rules(HERE / "banned_words.txt", re.IGNORECASE)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    findings: list[str] = []
    for path in listed.stdout.splitlines():
        file = ROOT / path
        if EXEMPT.match(path) or not TEXT.search(path) or not file.is_file() or file.is_symlink():
            continue
        text = file.read_text()
        findings += find(names, path, enumerate([path, *text.splitlines()], 0))
        findings += find(words, path, prose(path, text))
    print("\n".join(findings) or "names and prose: nothing to change")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())

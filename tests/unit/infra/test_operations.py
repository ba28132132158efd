"""The list of every operation of the API with its page and its command."""

import re
import shlex

import pytest
import typer

from chalicelib.openapi import subjects
from infra.docs import operations
from infra.stack import ROOT
from tradehook.__main__ import app

PAGES = sorted((ROOT / "docs").rglob("*.md"))


def _commands() -> dict[str, set[str]]:
    """The options of each command."""
    root = typer.main.get_command(app)
    found = {}
    for name, command in root.commands.items():
        every = {name: command} | {
            f"{name} {verb}": inner for verb, inner in getattr(command, "commands", {}).items()
        }
        for path, each in every.items():
            found[path] = {option for parameter in each.params for option in parameter.opts}
    return found


def test_no_gap() -> None:
    """Every operation has a page and a command, or a reason why not. No reason outlives its need."""
    assert operations.gaps() == []
    known = set(subjects.docs())
    named = {each for page in operations.PAGES.values() for each in page} | set(operations.EVERYWHERE)
    assert (named | set(operations.NO_PAGE) | set(operations.COMMANDS) | set(operations.NO_COMMAND)) <= known
    assert named & set(operations.NO_PAGE) == set()
    assert set(operations.COMMANDS) & set(operations.NO_COMMAND) == set()


def test_page_is_up_to_date() -> None:
    """`python -m infra.docs.operations` was run after the last change."""
    assert operations.PAGE.read_text(encoding="utf-8") == operations.table()


@pytest.mark.parametrize("page", operations.PAGES)
def test_pages_do_what_the_list_says(page: str) -> None:
    """A page's module names the last part of each of its operations' paths."""
    source = (ROOT / "web" / "pages" / f"{page}.js").read_text()
    for operation in operations.PAGES[page]:
        fixed = [part for part in operation.split()[1].split("/") if part and not part.startswith("{")]
        assert re.search(rf"/{re.escape(fixed[-1])}\b", source), operation


def test_commands_exist() -> None:
    """Each command of the list is one of the command line."""
    assert set(operations.COMMANDS.values()) - _commands().keys() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_the_docs_exist(page) -> None:
    """Each command that a page names exists, with its options."""
    commands = _commands()
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    code = re.findall(r"^```.*?^```|^ {8}.*?$|`[^`\n]+`", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(each.strip("`") for each in code)
    for line in re.findall(r"(?:^|&& )\s*(?:python -m )?tradehook ([a-z][^\n]*)", lines, re.MULTILINE):
        words = shlex.split(line.partition("&&")[0].partition("#")[0])
        names = [" ".join(words[:count]) for count in (2, 1) if " ".join(words[:count]) in commands]
        assert names, line
        options = {word for word in words if word.startswith("--")} - {"--json", "--help"}
        assert options <= commands[names[0]], line
        is_group = any(name.startswith(f"{names[0]} ") for name in commands)
        assert not is_group or names[0] == "audit" or len(words) == 1, line

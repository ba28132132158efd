"""A setting has the same name in the code, in `stack.yaml`, in Terraform and in the documentation.

No code reads another name.
"""

import re
from pathlib import Path

import pytest

from infra import stack
from infra.stack import ROOT

# What every deployment sets itself: functions.tf, http.tf and the local template.
_SET_BY_DEPLOYMENTS = {"STAGE", "EXCHANGES", "PUBLIC_URL", "WS_URL"}
_READS = re.compile(r"""\b(?:setting|secret|is_set|_is_on|_setting_list)\(["']([A-Z][A-Z_]+)["']""")
_READERS = [path for folder in ("chalicelib", "functions") for path in sorted((ROOT / folder).rglob("*.py"))]
_TOLD = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "infra" / "terraform").rglob("*.tf*")),
]


def read_by_code() -> set[str]:
    """The names of the settings that the functions read."""
    return {name for path in _READERS for name in _READS.findall(path.read_text())}


def unknown(text: str, known: set[str], elsewhere: str) -> set[str]:
    """The settings that a text names and nothing reads.

    With TRADEHOOK_ before them, or without but with a known setting's first word.
    """
    words = {name.partition("_")[0] for name in known if "_" in name and name not in _SET_BY_DEPLOYMENTS}
    prefixed = {
        name
        for name in re.findall(r"\bTRADEHOOK_([A-Z][A-Z_]*[A-Z])\b", text)
        if name not in known and f"TRADEHOOK_{name}" not in elsewhere
    }
    bare = {
        name
        for name in re.findall(r"(?<![\w.])[A-Z]+(?:_[A-Z]+)+\b", text)
        if name.partition("_")[0] in words and name not in known
    }
    return prefixed | bare


def test_stack_lists_what_the_code_reads():
    """`stack.yaml` names exactly the settings that the code reads, so that Terraform can refuse any other."""
    assert set(stack.load().source.settings) | _SET_BY_DEPLOYMENTS == read_by_code() | _SET_BY_DEPLOYMENTS


@pytest.mark.parametrize("path", _TOLD, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_setting_that_nothing_reads(path: Path):
    """Documentation and Terraform name no setting that the code does not read."""
    python = "\n".join(
        file.read_text()
        for folder in ("infra", "tradehook", "bench", "tests")
        for file in (ROOT / folder).rglob("*.py")
    )
    assert unknown(path.read_text(), read_by_code(), python.replace("TRADEHOOK_TELEGRAM_TOKEN", "")) == set()


@pytest.mark.parametrize(
    "text",
    [
        '{"notify_telegram":{"TELEGRAM_TOKEN":"…"}}',
        "TRADEHOOK_TELEGRAM_TOKEN",
        "`WEBHOOK_ALLOW_PLAIN`",
        "TRADEHOOK_NO_SUCH",
    ],
)
def test_a_wrong_name_is_found(text):
    """The search finds a wrong name in either form."""
    assert len(unknown(text, read_by_code(), "")) == 1


def test_secrets_are_marked():
    """Terraform keeps exactly the settings out of `settings` whose names are secret."""
    settings = stack.load().source.settings
    assert {name for name, setting in settings.items() if setting.secret} == {
        name for name in settings if re.search(r"TOKEN$|SECRET$|KEY$", name)
    }

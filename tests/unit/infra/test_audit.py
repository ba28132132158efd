"""The audit finds what it is for, and does not pass in silence over what it cannot look up."""

import subprocess
from pathlib import Path

import pytest

from infra import audit


def test_a_weakness_in_the_code_is_found(tmp_path: Path) -> None:
    """A shell command made of input, in a tree of its own."""
    (tmp_path / "weak.py").write_text(
        "import subprocess\n\n\ndef run(name):\n    subprocess.run(f'ls {name}', shell=True)\n"
    )
    found = audit.code(["weak.py"], audit.WAIVED, tmp_path)

    assert any("B602" in line and "weak.py:5:" in line for line in found), found


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    """A syntax error would else be a file that nobody audits."""
    (tmp_path / "broken.py").write_text("def :\n")
    assert audit.code(["broken.py"], audit.WAIVED, tmp_path)


def test_waivers_have_reasons() -> None:
    """Each says why in words."""
    reasons = {**audit.WAIVED, **audit.WAIVED_IN_TOOLS, **audit.ADVISORIES}
    assert reasons
    assert {name for name, reason in reasons.items() if len(reason.split()) < 5} == set()


def test_everything_carried_is_looked_up() -> None:
    """What the requirements need is carried too; what Lambda has is not."""
    carried = audit.carried()
    assert {"ccxt", "pydantic", "pydantic-core", "requests", "urllib3"} <= carried.keys()
    assert "boto3" not in carried


REPORT = {
    "dependencies": [
        {"name": "good", "version": "1.0", "vulns": []},
        {
            "name": "bad",
            "version": "2.0",
            "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.1"]}],
        },
        {"name": "unknown", "version": "3.0", "skip_reason": "not found"},
    ]
}


def test_an_advisory_is_a_finding_unless_waived(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own id or another name of it."""
    assert audit.read(REPORT) == (["bad 2.0: PYSEC-1, fixed in 2.1"], ["unknown: not found"])
    monkeypatch.setattr(audit, "ADVISORIES", {"CVE-1": "we never call the function it is about"})
    assert audit.read(REPORT)[0] == []


@pytest.mark.parametrize(
    ("advisories", "unknown", "status"),
    [
        ([], [], 0),
        ([], ["a: no"], 0),
        (["a 1: X"], [], 1),
        (["a 1: X"], ["b: no"], 1),
        ([], ["a: no", "b: no"], 1),
        ([], ["all of them: no"], 1),
    ],
)
def test_what_was_not_audited_is_said_aloud(
    advisories: list[str],
    unknown: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Findings fail, and so does an audit of nothing.

    What else could not be looked up is not passed over either.
    """
    monkeypatch.delenv("TRADEHOOK_AUDIT_OFFLINE", raising=False)
    monkeypatch.setattr(audit, "code", lambda *_: [])
    monkeypatch.setattr(audit, "carried", lambda: {"a": "1", "b": "2"})
    monkeypatch.setattr(audit, "dependencies", lambda _: (advisories, unknown))
    with pytest.raises(SystemExit) as ended:
        audit.main()

    assert ended.value.code == status
    assert ("NOT AUDITED" in capsys.readouterr().out) is bool(unknown)


def test_an_unreachable_service_is_no_clean_bill(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip-audit ends with an error and no report."""
    ended = subprocess.CompletedProcess([], 1, stdout="", stderr="ConnectionError: nobody there")
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: ended)
    assert audit.dependencies({"a": "1"}) == ([], ["all of them: ConnectionError: nobody there"])


def test_an_audit_of_the_code_alone_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that reaches package mirrors only says that it accepts an audit of the code alone."""
    monkeypatch.setattr(audit, "code", lambda *_: [])
    monkeypatch.setattr(audit, "carried", lambda: {"a": "1"})
    monkeypatch.setattr(audit, "dependencies", lambda _: ([], ["a: no"]))
    monkeypatch.setenv("TRADEHOOK_AUDIT_OFFLINE", "true")
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code == 0

"""`python -m infra.audit`.

Reports known weaknesses in the code (bandit) and in the artifact's dependencies (pip-audit).

Exits with 1 for a finding that is not waived here, or if no dependency could be looked up: an audit of
nothing is no audit. On a machine that reaches only package mirrors, `TRADEHOOK_AUDIT_OFFLINE=true make audit`
checks the code alone, and says so.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.stack import ROOT

# bandit tests that are off, and why.
WAIVED: Mapping[str, str] = {
    "B101": "asserts state what the type checker cannot know; nothing is decided by them",
    "B105": (
        "fields and settings are called token and secret, and examples hold made-up ones; "
        "ruff's S105 asks at each other place"
    ),
    "B107": "the empty default of an option is no password; ruff's S107 asks at each other place",
    "B311": "jitter between tries needs no secret randomness; ruff's S311 has each place waived by itself",
}
# bandit tests that are off for code that runs only on a developer's machine.
WAIVED_IN_TOOLS: Mapping[str, str] = {
    "B108": "memory-backed scratch space of the local cloud, named after its owner and directory",
    "B310": "the URLs are the local stack's own, on loopback",
    "B404": "builds and runs other programs; that is what it is for",
    "B608": "table names in SQLite statements are constants; values are always bound",
    "B603": "commands are lists and never pass a shell",
    "B607": "git and uv are taken from the developer's PATH",
}
# Advisories on dependencies that do not concern us, by id, and why.
ADVISORIES: Mapping[str, str] = {}

PRODUCT = ("app.py", "chalicelib", "functions", "tradehook")
TOOLS = ("infra", "bench")
_LAMBDA_HAS = {"boto3", "botocore", "s3transfer"}


def code(paths: Sequence[str], waived: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """Returns bandit's findings, one line each."""
    command = [
        sys.executable,
        "-m",
        "bandit",
        "--quiet",
        "--recursive",
        "--format",
        "json",
        "--skip",
        ",".join(waived),
        *paths,
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    return [f"{error['filename']}: {error['reason']}" for error in report["errors"]] + [
        f"{found['filename']}:{found['line_number']}: {found['test_id']} {found['issue_text']}"
        for found in report["results"]
    ]


def carried(requirements: Path = ROOT / "requirements.txt") -> dict[str, str]:
    """Returns every distribution of the artifact's requirements with its version installed here."""
    lines = requirements.read_text().splitlines()
    waiting = [Requirement(line).name for line in lines if line.strip() and not line.startswith("#")]
    found: dict[str, str] = {}
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name in _LAMBDA_HAS:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform
        found[name] = distribution.version
        needs = (Requirement(need) for need in distribution.requires or [])
        waiting += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return found


def dependencies(versions: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Returns the advisories on these distributions, one line each, and the reasons for failed look-ups."""
    with tempfile.TemporaryDirectory() as work:
        listed = Path(work) / "carried.txt"
        listed.write_text("".join(f"{name}=={version}\n" for name, version in sorted(versions.items())))
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--requirement",
            str(listed),
            "--no-deps",
            "--disable-pip",
            "--format",
            "json",
        ]
        command += ["--progress-spinner", "off", "--timeout", "10"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        return [], [
            f"all of them: {(done.stderr.strip().splitlines() or ['pip-audit said nothing'])[-1][:200]}"
        ]
    return read(report)


def read(report: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Returns the unwaived findings in pip-audit's report, and the distributions without a look-up."""
    found, unknown = [], []
    for each in report["dependencies"]:
        if reason := each.get("skip_reason"):
            unknown.append(f"{each['name']}: {reason}")
        for advisory in each.get("vulns", []):
            if not {advisory["id"], *advisory.get("aliases", [])} & ADVISORIES.keys():
                fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
                found.append(f"{each['name']} {each['version']}: {advisory['id']}, fixed in {fixed}")
    return found, unknown


def main() -> None:
    """The command line."""
    findings = code(PRODUCT, WAIVED) + code(TOOLS, {**WAIVED, **WAIVED_IN_TOOLS})
    waived = {*WAIVED, *WAIVED_IN_TOOLS}
    print(
        f"bandit: {len(findings) or 'no'} findings; "
        f"{len(waived)} of its tests are waived in infra/audit.py, with reasons"
    )
    versions = carried()
    advisories, unknown = dependencies(versions)
    audited = len(versions) - min(len(unknown), len(versions))
    print(f"pip-audit: {len(advisories) or 'no'} findings in {audited} distributions")
    if unknown:
        print(
            "!! NOT AUDITED: the advisory service could not be asked about "
            f"{len(unknown)} of {len(versions)} distributions."
        )
        print(f"!! Run `make audit` again on a machine that reaches the Internet. The first: {unknown[0]}")
    for line in (*findings, *advisories):
        print(f"✗ {line}")
    nothing = len(unknown) >= len(versions) or (bool(unknown) and unknown[0].startswith("all of them"))
    offline = os.environ.get("TRADEHOOK_AUDIT_OFFLINE", "").lower() == "true"
    if nothing and not offline:
        print("✗ no dependency was audited; TRADEHOOK_AUDIT_OFFLINE=true accepts that")
    sys.exit(1 if findings or advisories or (nothing and not offline) else 0)


if __name__ == "__main__":
    main()

"""The bill of materials lists what lies in the zip."""

import json
import zipfile
from pathlib import Path

import pytest

from infra.build import sbom

METADATA = """Metadata-Version: 2.4
Name: {name}
Version: {version}
{licence}

A text that is no header: Name: other
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip with three distributions, and code."""
    path = tmp_path / "tradehook.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, licence in (
            ("Typing_Extensions", "License-Expression: PSF-2.0"),
            ("simplejson", "License: MIT License"),
            ("long", "License: Copyright\n        all of it"),
        ):
            zipped.writestr(
                f"{name}-1.0.dist-info/METADATA", METADATA.format(name=name, version="1.0", licence=licence)
            )
        zipped.writestr("app.py", "")
        zipped.writestr(
            "vendored/inner-2.0.dist-info/METADATA", METADATA.format(name="inner", version="2.0", licence="")
        )
    return path


def test_every_distribution_once(archive: Path, tmp_path: Path) -> None:
    """By package URL, with its licence where the package says it in a line."""
    sbom.write(archive, tmp_path / "sbom.json")
    bill = json.loads((tmp_path / "sbom.json").read_text())

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {component["purl"]: component.get("licenses") for component in bill["components"]} == {
        "pkg:pypi/long@1.0": None,
        "pkg:pypi/simplejson@1.0": [{"license": {"name": "MIT License"}}],
        "pkg:pypi/typing-extensions@1.0": [{"expression": "PSF-2.0"}],
    }
    assert bill["dependencies"] == [
        {"ref": "tradehook", "dependsOn": sorted(component["purl"] for component in bill["components"])}
    ]


def test_the_same_zip_has_the_same_bill(archive: Path, tmp_path: Path) -> None:
    """No time and no random number is in it, so that releases can be compared."""
    for name in ("one", "two"):
        sbom.write(archive, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

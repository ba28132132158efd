"""The bill of materials of the artifact.

Lists every distribution in the zip, as CycloneDX (https://cyclonedx.org/docs/1.6/json/).

The source is the metadata in the zip, so the bill lists exactly its contents. It holds no time and no random
number: the same zip has the same bill.
"""

import json
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

Component = dict[str, Any]


def write(archive: Path, target: Path) -> None:
    """Writes the bill of a zip."""
    components = sorted(_components(archive), key=lambda component: str(component["purl"]))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "tradehook", "bom-ref": "tradehook"}},
        "components": components,
        "dependencies": [
            {"ref": "tradehook", "dependsOn": [component["bom-ref"] for component in components]}
        ],
    }
    target.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n")


def _components(archive: Path) -> Iterator[Component]:
    with zipfile.ZipFile(archive) as zipped:
        for name in zipped.namelist():
            if name.count("/") == 1 and name.endswith(".dist-info/METADATA"):
                yield _component(Parser().parsestr(zipped.read(name).decode(), headersonly=True))


def _component(metadata: Message) -> Component:
    name, version = canonicalize_name(metadata["Name"]), metadata["Version"]
    url = f"pkg:pypi/{name}@{version}"
    component: Component = {
        "type": "library",
        "name": metadata["Name"],
        "version": version,
        "purl": url,
        "bom-ref": url,
    }
    if licence := metadata["License-Expression"]:
        return component | {"licenses": [{"expression": licence}]}
    # Before licence expressions, a package's own words named the licence, sometimes as the whole text.
    words = (metadata["License"] or "").strip()
    return component | ({"licenses": [{"license": {"name": words}}]} if words and "\n" not in words else {})

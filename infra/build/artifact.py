"""The deployment zip and the route document, rebuilt only if one of their sources has changed.

The target is `build/` for this machine and `build/lambda/` for Lambda. `manifest.json` describes both, and
for Lambda `sbom.json` lists the contents of the zip.
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra import stack
from infra.build import layer, sbom, zipping
from infra.build.zipping import BuildError

ROOT = stack.ROOT
BUILD = ROOT / "build"


def build(target: str = "local", say: Callable[[str], object] = print) -> dict[str, Any]:
    """Updates zip, route document and manifest, and returns the manifest.

    `say` gets a line for each slow step.
    """
    directory = BUILD / "lambda" if target == "lambda" else BUILD
    cache = BUILD / ".cache"
    cache.mkdir(parents=True, exist_ok=True)
    directory.mkdir(exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one build per checkout at a time
        described = stack.load()
        requirements = ROOT / "requirements.txt"
        wanted = layer.describe(requirements.read_bytes(), described.ccxt_modules, target)
        http = [function.module for function in described.http_functions]
        inputs = zipping.fingerprint([*wanted, *http], _sources())
        manifest_file = directory / "manifest.json"
        outputs = [directory / "tradehook.zip", directory / "routes.json"]
        bill = directory / "sbom.json" if target == "lambda" else None
        if manifest_file.exists() and all(path.exists() for path in (*outputs, *([bill] if bill else []))):
            manifest: dict[str, Any] = json.loads(manifest_file.read_text())
            if manifest["inputs"] == inputs:
                return manifest
        manifest_file.unlink(missing_ok=True)
        archive = cache / f"layer-{target}-{zipping.fingerprint(wanted, {})[:16]}.zip"
        if not archive.exists():
            say(f"  installing the dependencies for {'Lambda' if target == 'lambda' else 'this machine'} …")
            for old in cache.glob(f"layer-{target}-*.zip"):
                old.unlink()
            layer.build(requirements, described.ccxt_modules, target, archive)
        say("  packing the code …")
        manifest = {"inputs": inputs, "target": target} | _pack(archive, *outputs)
        if bill:
            sbom.write(outputs[0], bill)
        manifest_file.write_text(json.dumps(manifest, indent=2) + "\n")
        return manifest


def _sources() -> dict[str, Path]:
    """Returns all our sources of the zip and the route document."""
    found = {"app.py": ROOT / "app.py", "infra/stack.py": ROOT / "infra" / "stack.py"}
    # vendor/ holds links, and Chalice follows them.
    for package in (ROOT / "chalicelib", ROOT / "infra" / "build", *(ROOT / "vendor").iterdir()):
        files = zipping.files_of(package)
        found |= {
            f"{package.relative_to(ROOT)}/{name}": path
            for name, path in files.items()
            if "__pycache__" not in name
        }
    return found


def _for_lambda(archive: Path) -> bool:
    return archive.name.startswith("layer-lambda-")


def _pack(archive: Path, zipped: Path, routes: Path) -> dict[str, Any]:
    """Packs our code with the dependencies and writes the route document. Returns the manifest's data."""
    with tempfile.TemporaryDirectory(prefix="code-", dir=archive.parent) as work:
        # Two processes: importing the product for its routes takes as long as packing it.
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "AWS_DEFAULT_REGION": "us-east-1"}
        asking = subprocess.Popen(
            [sys.executable, "-m", "infra.build.routes"],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            packing = subprocess.run(
                [sys.executable, "-m", "infra.build.code", work],
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            if packing.returncode:
                raise BuildError(f"Chalice could not pack the code:\n{packing.stderr}")
            zipping.compile_tree(Path(work))
            unfinished = archive.with_name("tradehook.part")
            zipping.write(
                unfinished, zipping.files_of(Path(work)), onto=archive, compressed=_for_lambda(archive)
            )
        finally:
            document, complaint = asking.communicate()
        if asking.returncode:
            raise BuildError(f"The routes could not be read:\n{complaint.decode()}")
        routes.write_bytes(document + b"\n")
        unfinished.replace(zipped)
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "architecture": "arm64" if _for_lambda(archive) else "",
        "sha256": zipping.digest(zipped.read_bytes()),
        "size": zipped.stat().st_size,
        "unpacked_size": zipping.unpacked_size(zipped),
        "routes_sha256": zipping.digest(routes.read_bytes()),
    }

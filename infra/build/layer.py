"""The dependency layer: a zip of the used parts of `requirements.txt`'s packages, with bytecode."""

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.build import ccxt_subset, zipping

# Requirements of ccxt's asynchronous half and its on-chain signing. Its synchronous half needs only these.
_CCXT_NEEDS = {"requests", "certifi", "cryptography", "typing-extensions"}
_IN_LAMBDA_ALREADY = {"boto3", "botocore", "s3transfer"}
_LAMBDA_PLATFORM = {"uv": "aarch64-manylinux2014", "pip": "manylinux2014_aarch64"}
# Records of the installation, which differ between installations. METADATA and licences stay.
_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"}


def describe(requirements: bytes, modules: Iterable[str], target: str) -> list[str]:
    """Returns the inputs of the layer: equal inputs give an equal layer."""
    sources = b"".join(
        (Path(__file__).parent / name).read_bytes() for name in ("layer.py", "ccxt_subset.py", "zipping.py")
    )
    machine = "aarch64" if target == "lambda" else f"{sys.platform}-{platform.machine()}"
    return [
        target,
        machine,
        sys.version,
        zipping.digest(requirements),
        zipping.digest(sources),
        *sorted(modules),
    ]


def build(requirements: Path, modules: tuple[str, ...], target: str, archive: Path) -> None:
    """Installs, reduces, compiles and zips the dependencies into `archive`."""
    with tempfile.TemporaryDirectory(prefix="layer-", dir=archive.parent) as work:
        wanted = [
            line
            for line in requirements.read_text().splitlines()
            if line.strip() and not line.startswith("#")
        ]
        if not modules:
            wanted = [line for line in wanted if Requirement(line).name != "ccxt"]
        listed = Path(work) / "requirements.txt"
        listed.write_text("\n".join(wanted))
        site = Path(work) / "site"
        _install(listed, site, target)
        _keep_only(site, {canonicalize_name(Requirement(line).name) for line in wanted})
        if modules:
            ccxt_subset.trim(site / "ccxt", modules)
        zipping.compile_tree(site)
        unfinished = archive.with_suffix(".part")
        zipping.write(unfinished, zipping.files_of(site), compressed=target == "lambda")
        unfinished.replace(archive)


def _install(listed: Path, site: Path, target: str) -> None:
    """Installs the packages into `site`, with uv if available, else with pip."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{sys.prefix}/bin") or shutil.which("uv")
    command = (
        [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    )
    command += ["--quiet", "--target", str(site), "--requirement", str(listed)]
    if target == "lambda":
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        option = "--python-platform" if uv else "--platform"
        command += [
            option,
            _LAMBDA_PLATFORM["uv" if uv else "pip"],
            "--python-version",
            version,
            "--only-binary=:all:",
        ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise zipping.BuildError(f"The dependencies could not be installed:\n{done.stdout}{done.stderr}")


def _keep_only(site: Path, roots: set[str]) -> None:
    """Removes distributions that `roots` does not need, and all installation records."""
    distributions: dict[str, importlib.metadata.Distribution] = {
        canonicalize_name(found.metadata["Name"]): found
        for found in importlib.metadata.distributions(path=[str(site)])
    }
    kept: set[str] = set()
    waiting = set(roots)
    while waiting:
        name = waiting.pop()
        if name in kept or name in _IN_LAMBDA_ALREADY or name not in distributions:
            continue
        kept.add(name)
        needs = (Requirement(need) for need in distributions[name].requires or [])
        names = {
            canonicalize_name(need.name)
            for need in needs
            if not need.marker or need.marker.evaluate({"extra": ""})
        }
        waiting |= names & _CCXT_NEEDS if name == "ccxt" else names
    for installed, distribution in distributions.items():
        for entry in distribution.files or []:
            path = (site / str(entry)).resolve()
            if installed not in kept or (".dist-info" in str(entry) and entry.name in _LEFT_OUT):
                path.unlink(missing_ok=True)
    for name in ("bin", "share"):
        shutil.rmtree(site / name, ignore_errors=True)
    for path in sorted(site.rglob("*"), reverse=True):
        unused = path.name in {"__pycache__", ".lock"} or re.search(r"\.(pyi|pyx|pxd|c|h)$", path.name)
        if path.is_file() and unused:
            path.unlink()
        elif path.is_dir() and (unused or not any(path.iterdir())):
            shutil.rmtree(path)

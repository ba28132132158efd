"""Our own code as Chalice packs it: `python -m infra.build.code DIRECTORY` unpacks it there."""

import io
import sys
import zipfile
from pathlib import Path

from chalice.deploy.packager import DependencyBuilder, LambdaDeploymentPackager
from chalice.utils import UI, OSUtils

from infra.stack import ROOT


class _WithoutDependencies(DependencyBuilder):
    """Replaces Chalice's dependency builder: the dependencies are a separate layer."""

    def __init__(self) -> None:
        super().__init__(OSUtils())

    def build_site_packages(self, abi: str, requirements_filename: str, target_directory: str) -> None:
        """Builds nothing."""


class _Packager(LambdaDeploymentPackager):
    """Chalice's packager, which decides the contents of the zip.

    The contents are Chalice's runtime, `app.py`, `chalicelib/` and `vendor/`.
    """

    def __init__(self, archive: Path) -> None:
        unread = io.StringIO()
        super().__init__(OSUtils(), _WithoutDependencies(), UI(out=unread, err=unread))
        self._archive = archive

    def deployment_package_filename(self, project_dir: str, python_version: str) -> str:  # noqa: ARG002 - the signature is Chalice's
        """Returns our path for the zip instead of `.chalice/deployments`."""
        return str(self._archive)


def unpack(directory: Path) -> None:
    """Unpacks the code into the directory, without bytecode or other local files."""
    archive = directory.with_name(f"{directory.name}.zip")
    try:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        _Packager(archive).create_deployment_package(str(ROOT), version)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(directory, [name for name in packed.namelist() if "__pycache__" not in name])
    finally:
        archive.unlink(missing_ok=True)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))

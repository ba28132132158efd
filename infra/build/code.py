"""Our own code as Chalice packs it: `python -m infra.build.code DIRECTORY` unpacks it there."""

import io
import sys
import zipfile
from pathlib import Path

from chalice.deploy.packager import DependencyBuilder, LambdaDeploymentPackager
from chalice.utils import UI, OSUtils

from infra.stack import ROOT


class _WithoutDependencies(DependencyBuilder):
    """In place of Chalice's dependency builder: the dependencies are a layer that is made elsewhere."""

    def __init__(self) -> None:
        super().__init__(OSUtils())

    def build_site_packages(self, abi: str, requirements_filename: str, target_directory: str) -> None:
        """Builds none."""


class _Packager(LambdaDeploymentPackager):
    """Chalice's packager, which says what goes into the zip.

    Its own runtime, `app.py`, `chalicelib/` and `vendor/`.
    """

    def __init__(self, archive: Path) -> None:
        unread = io.StringIO()
        super().__init__(OSUtils(), _WithoutDependencies(), UI(out=unread, err=unread))
        self._archive = archive

    def deployment_package_filename(self, project_dir: str, python_version: str) -> str:  # noqa: ARG002 - the signature is Chalice's
        """Where we want the zip, not `.chalice/deployments`."""
        return str(self._archive)


def unpack(directory: Path) -> None:
    """Puts the code into the directory, without bytecode or other leftovers of this machine."""
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

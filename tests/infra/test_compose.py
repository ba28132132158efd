"""The emulated clouds in Docker are pinned and closed to the outside."""

import re
from importlib.metadata import version

import yaml

from infra.stack import ROOT

SERVICES = yaml.safe_load((ROOT / "localstack-compose.yml").read_text())["services"]


def test_images_are_pinned() -> None:
    """Each image has a full version: `latest` would be another cloud tomorrow."""
    assert all(re.search(r":\d+\.\d+\.\d+$", service["image"]) for service in SERVICES.values())


def test_ministack_is_the_version_that_runs_without_docker() -> None:
    """The image and the package of the requirements are one version, so that both behave alike."""
    assert SERVICES["ministack"]["image"].rpartition(":")[2] == version("ministack")


def test_ports_are_open_on_loopback_only() -> None:
    """Key `test` is root in both clouds: only this machine may reach them."""
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service["ports"])


def test_each_cloud_is_chosen_by_name() -> None:
    """Both want the same port, so neither starts without being asked for."""
    assert all(service["profiles"] == [name] for name, service in SERVICES.items())

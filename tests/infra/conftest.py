"""Plans that several tests read: made once."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.infra import terraform
from tests.infra.terraform import MODULE, Plan

# Paths of both HTTP functions, with and without parameters, two methods on one path.
OWNERS: Mapping[tuple[str, str], str] = {
    ("POST", "/webhook"): "receive_signals",
    ("POST", "/personal/{user_id}/webhook"): "receive_signals",
    ("POST", "/orders"): "serve_api",
    ("GET", "/orders"): "serve_api",
    ("GET", "/signals/{signal_id}"): "serve_api",
}

EXAMPLES = sorted(path.stem for path in (MODULE / "examples").glob("*.tfvars"))


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that is none, but looks like one."""
    return terraform.write_release(tmp_path_factory.mktemp("release"), OWNERS)


def _planned(work: Path, release: Path, *arguments: str) -> Plan:
    done, plan = terraform.plan(work, release, *arguments)
    assert plan is not None, done.stdout + done.stderr
    return plan


@pytest.fixture(scope="session")
def local_plan(tmp_path_factory: pytest.TempPathFactory, release: Path) -> Plan:
    """The plan for the local cloud's stage and region, so that names and addresses are the same."""
    return _planned(
        tmp_path_factory.mktemp("local"),
        release,
        "-var=stage=local",
        "-var=region=us-east-1",
        "-var=lambda_quota=1000",
    )


@pytest.fixture(scope="session", params=EXAMPLES)
def example_plan(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, release: Path
) -> Plan:
    """The plan for each example of variables."""
    return _planned(
        tmp_path_factory.mktemp(request.param), release, f"-var-file=examples/{request.param}.tfvars"
    )

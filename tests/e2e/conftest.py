"""A local stack of the tests' own: fresh state in a temporary directory, its own ports, gone afterwards."""

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.build.artifact import build
from infra.local import cloud, deploy, process, run
from infra.local.paths import HOST, LocalStackPaths
from infra.local.stack import LocalStack, connect
from infra.local.stack_env import read_stack_env
from infra.stack import STACK_YAML


@dataclass
class Running:
    """The running stack, and what a test may do to it."""

    place: LocalStackPaths

    @property
    def url(self) -> str:
        """The front door, http://127.0.0.1:port."""
        return self.place.url

    @property
    def ws_url(self) -> str:
        """The front door's WebSocket, without a token."""
        return self.place.ws_url

    @property
    def env(self) -> dict[str, str]:
        """What `stack.env` says: URLs, demo users and their tokens."""
        return read_stack_env(self.place)

    @property
    def cloud(self) -> LocalStack:
        """The deployed stack with root's clients.

        `cloud.client("dynamodb")`, `cloud.table("orders")`, `cloud.queue("realtime")`.
        """
        return connect(self.place)

    def items(self, table: str) -> list[dict[str, Any]]:
        """Everything in a table, as DynamoDB gives it."""
        pages = (
            self.cloud.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self.cloud.table(table), ConsistentRead=True)
        )
        return [item for page in pages for item in page["Items"]]

    def restart(self) -> None:
        """Stops the cloud, which saves its state, and starts it again. The front door stays."""
        cloud.stop(self.place)
        cloud.start(self.place)

    def crash(self) -> None:
        """Kills the cloud with everything since its last clean stop, and starts it again."""
        process.stop(self.place.directory / "cloud.pid", kill=True)
        cloud.start(self.place)

    def kill_workers(self, function: str) -> int:
        """Kills the processes in which a function runs, all functions for "". How many there were."""
        marker = f"ministack-lambda-{self.cloud.function(function) if function else ''}"
        mine = [
            int(found.parent.name)
            for found in Path("/proc").glob("[0-9]*/cmdline")
            if f"{self.place.scratch}/{marker}" in found.read_bytes().decode(errors="replace")
        ]
        for pid in mine:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(mine)

    @contextmanager
    def deployed_with(self, environment: Mapping[str, str] | None = None, **changes: Any) -> Iterator[None]:
        """Deploys a changed `stack.yaml`, and the right one again afterwards.

        Args:
            environment: Settings for the functions, besides or instead of the usual.
            changes: `edit=` a callable that is given the parsed file and changes it in place.
        """
        source = yaml.safe_load(self.place.stack_yaml.read_text())
        if edit := changes.pop("edit", None):
            edit(source)
        assert not changes, changes
        changed = self.place.directory / "stack.yaml"
        changed.write_text(yaml.safe_dump(source, sort_keys=False))
        there = replace(
            self.place, stack_yaml=changed, environment={**self.place.environment, **(environment or {})}
        )
        deploy.deploy(there, build())
        try:
            yield
        finally:
            deploy.deploy(self.place, build())

    def without_grant(self, function: str, resource: str, action: str) -> Any:
        """Deploys without one action of a grant: `without_grant("sweep", "table:signals", "Query")`."""
        kind, _, name = resource.partition(":")

        def edit(source: dict[str, Any]) -> None:
            grants = source["functions"][function]["grants"]
            [grant] = [grant for grant in grants if grant.get(kind) == name and action in grant["actions"]]
            grant["actions"].remove(action)
            if not grant["actions"]:
                grant["actions"] = [
                    "ListTagsOfResource" if kind == "table" else "ListQueueTags"
                ]  # its address must stay

        return self.deployed_with(edit=edit)


def free_port() -> int:
    """A front door's port that is free, and the cloud's that follows from it too."""
    for port in range(18_400, 19_400, 7):
        place = LocalStackPaths(Path(), port, {}, STACK_YAML)
        with socket.socket() as front, socket.socket() as behind, suppress(OSError):
            front.bind((HOST, port))
            behind.bind((HOST, place.cloud_port))
            return port
    raise RuntimeError("no port is free")


def _impatient(stack_yaml: Path, directory: Path) -> Path:
    """The same stack, in which the messages of a killed order worker come again after seconds instead of
    minutes.
    """
    source = yaml.safe_load(stack_yaml.read_text())
    source["functions"]["execute_orders"]["timeout_s"] = 8
    source["queues"]["orders"]["visibility_margin_s"] = 2
    changed = directory / "impatient.yaml"
    changed.write_text(yaml.safe_dump(source, sort_keys=False))
    return changed


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The stack, running for as long as the tests do, with demo data."""
    directory = tmp_path_factory.mktemp("stack")
    own = {
        "PORT": str(free_port()),
        "TRADEHOOK_LOCAL_DIR": str(directory),
        "TRADEHOOK_STACK_YAML": str(_impatient(LocalStackPaths.here().stack_yaml, directory)),
        # Tests say what the prices are.
        "TRADEHOOK_LIVE_PRICES": "off",
    }
    place = LocalStackPaths.here({**os.environ, **own})
    try:
        run.up(place)
        yield Running(place)
    finally:
        run.down(place)


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stack for one module, which leaves nothing in it as others expect it."""
    place = replace(LocalStackPaths.here(), directory=tmp_path_factory.mktemp("own"), port=free_port())
    try:
        run.up(place)
        yield Running(place)
    finally:
        run.down(place)

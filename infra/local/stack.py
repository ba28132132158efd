"""The running stack, for demo data, tests and benchmarks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import boto3

from chalicelib import aws
from infra import stack
from infra.local import deploy
from infra.local.naming import logical_id, queue_url
from infra.local.paths import REGION, STAGE, LocalStackPaths


@dataclass(frozen=True)
class LocalStack:
    """A deployed stack. Its clients have root's rights.

    Attributes:
        place: Its URLs, ports and files.
        description: The content of `stack.yaml`.
        outputs: CloudFormation's outputs: `RestApi`, `KeySecrets`, `WebsocketRealtime` ...
    """

    place: LocalStackPaths
    description: stack.Stack
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        """Returns a boto3 client of any service."""
        return deploy.client(self.place, service)

    def table(self, name: str) -> str:
        """Returns a table's full name."""
        return self.description.full_name(STAGE, name)

    def queue(self, name: str) -> str:
        """Returns a queue's URL, also of a dead-letter queue, `orders-paper-dead`."""
        return queue_url(self.place, self.description, name)

    def function(self, name: str) -> str:
        """Returns a function's full name."""
        return self.description.full_name(STAGE, name)

    def key(self, name: str) -> str:
        """Returns a KMS key's ARN."""
        return self.outputs[f"Key{logical_id(name)}"]

    def environment(self) -> dict[str, str]:
        """Returns the environment for the product's own code in this process, with root's rights."""
        found = {
            "AWS_ENDPOINT_URL": self.place.cloud_url,
            "AWS_ACCESS_KEY_ID": self.place.root_key,
            "AWS_SECRET_ACCESS_KEY": self.place.root_key,
            "AWS_DEFAULT_REGION": REGION,
            "TRADEHOOK_EXCHANGES": " ".join(self.description.traded),
            "TRADEHOOK_STAGE": STAGE,
            "TRADEHOOK_PUBLIC_URL": self.place.shown_url,
            "TRADEHOOK_WS_URL": self.place.shown_ws_url,
            **self.place.environment,
        }
        found |= {
            stack.Resource("table", name).variable: self.table(name)
            for name in self.description.source.tables
        }
        found |= {
            stack.Resource("queue", name).variable: self.queue(name) for name in self.description.queues
        }
        found |= {
            stack.Resource("key", name).variable: self.key(name) for name in self.description.source.keys
        }
        return found


@contextmanager
def as_root(cloud: LocalStack) -> Iterator[None]:
    """The product's own code, run in this process on a local cloud with all rights.

    boto3's default session keeps the first credentials that it finds. Each stack has its own root key.
    """
    before = dict(os.environ)
    os.environ.update(cloud.environment())
    with patch.object(boto3, "DEFAULT_SESSION", None):
        aws.client.cache_clear()
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            aws.client.cache_clear()


def connect(place: LocalStackPaths | None = None) -> LocalStack:
    """Returns the stack at these paths, which must be deployed and running."""
    place = place or LocalStackPaths.here()
    found = deploy.outputs(place)
    if not found:
        raise deploy.DeployError(f"nothing is deployed at {place.cloud_url}")
    return LocalStack(place, stack.load(place.stack_yaml), found)

"""Names in the local cloud that several modules share."""

from infra.local.paths import ACCOUNT, STAGE, LocalStackPaths
from infra.stack import Stack


def logical_id(name: str) -> str:
    """Returns a name as part of a CloudFormation logical id: `orders-paper` -> `OrdersPaper`."""
    return "".join(part.capitalize() for part in name.replace("_", "-").split("-"))


def queue_url(place: LocalStackPaths, stack: Stack, name: str) -> str:
    """Returns a queue's URL. `name` may be a dead-letter queue's."""
    return f"{place.cloud_url}/{ACCOUNT}/{stack.queue_name(STAGE, name)}"

"""What needs the deployment's own AWS credentials: the first admin, and the dead-letter queues.

These commands use the product's own code, `infra/stack.yaml` and boto3, so they run in a checkout of the
repository. All other commands need the API only.
"""

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from tradehook.client import Failed, of

if TYPE_CHECKING:
    from infra import stack

Parameters = ParamSpec("Parameters")

Stage = Annotated[
    str, typer.Option(envvar="TRADEHOOK_STAGE", help="The deployment's stage, part of every resource's name.")
]
_BATCH = 10  # SQS returns at most ten messages per call


def in_checkout(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """A command whose faults with AWS, and whose missing packages, are one line that says what to do."""

    @wraps(command)
    def run(*arguments: Parameters.args, **named: Parameters.kwargs) -> None:
        try:
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

            from chalicelib import messages  # noqa: PLC0415
            from chalicelib.errors import Refused  # noqa: PLC0415
            from infra import stack  # noqa: F401, PLC0415
        except ImportError as missing:
            hint = "Run `python -m tradehook` in a checkout of the repository, after `make check`."
            raise Failed({"error": f"{missing.name} is missing. {hint}", "code": "no_checkout"}) from None
        try:
            command(*arguments, **named)
        except Refused as refused:
            error = messages.render(refused.code, refused.values)
            raise Failed({"error": error, "code": refused.code}, refused.status) from None
        except (BotoCoreError, ClientError) as fault:
            hint = (
                "Set AWS_REGION and credentials such as AWS_PROFILE, or AWS_ENDPOINT_URL for a local cloud."
            )
            raise Failed({"error": f"AWS: {' '.join(str(fault).split())} {hint}", "code": "aws"}) from None

    return run


@in_checkout
def bootstrap(
    context: typer.Context,
    stage: Stage = "prod",
    user_id: Annotated[int | None, typer.Option(min=1, help="By default the next number.")] = None,
    name: Annotated[str, typer.Option(help="The token's name.")] = "bootstrap",
    another: Annotated[bool, typer.Option(help="Also if there is an admin already.")] = False,
) -> None:
    """Creates the first admin and prints an API token, only this once."""
    _point_at(stage)
    # The environment names the tables only from here on.
    from chalicelib import aws  # noqa: PLC0415
    from chalicelib.users import store, tokens  # noqa: PLC0415
    from chalicelib.users.create import create_user  # noqa: PLC0415
    from chalicelib.users.credentials import Kind  # noqa: PLC0415
    from chalicelib.users.models import Role  # noqa: PLC0415

    listed = aws.query_all(
        "users",
        "listed = :all",
        index="listed",
        filter_expression="#role = :role",
        all=store.LISTED,
        role=Role.ADMIN.value,
    )
    admin = next(iter(listed), None)
    if admin and not another:
        raise Failed(
            {
                "error": f"User {admin['user_id']} is an admin already; --another creates one more",
                "code": "already_exists",
            }
        )
    user = create_user(by="bootstrap", user_id=user_id, role=Role.ADMIN)
    made = tokens.create_token(user.user_id, Kind.API, by="bootstrap", name=name)
    record = tokens.view(made.item) | {"token": made.token}
    of(context).output.secret(
        f"Admin {user.user_id}; API token, shown this once (TRADEHOOK_ADMIN_TOKEN):", made.token, record
    )


@in_checkout
def dead(context: typer.Context, stage: Stage = "prod") -> None:
    """How many messages wait in each dead-letter queue."""
    sqs, description = _sqs(), _description()
    waiting = []
    for queue in description.queues:
        url = _url(sqs, description, stage, f"{queue}-dead")
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])[
            "Attributes"
        ]
        waiting.append({"queue": queue, "dead": int(attributes["ApproximateNumberOfMessages"])})
    of(context).output.records(waiting, ("queue", "dead"))


@in_checkout
def redrive(
    context: typer.Context,
    queue: Annotated[str, typer.Argument(help="Such as orders-binance; `tradehook dead` lists them.")],
    stage: Stage = "prod",
    most: Annotated[int, typer.Option(min=1, help="The most messages to send.")] = 10_000,
) -> None:
    """Sends the messages of a dead-letter queue to their queue again.

    A message leaves the dead-letter queue only after it is in its queue, so an interruption loses none. A
    message that is then in both is harmless: every consumer settles a message once.
    """
    sqs, description = _sqs(), _description()
    if queue not in description.queues:
        raise Failed(
            {
                "error": f"There is no queue {queue}, only: {', '.join(description.queues)}",
                "code": "invalid_choice",
            }
        )
    source, target = (_url(sqs, description, stage, name) for name in (f"{queue}-dead", queue))
    moved = 0
    while moved < most:
        received = sqs.receive_message(
            QueueUrl=source,
            MaxNumberOfMessages=min(_BATCH, most - moved),
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = received.get("Messages", [])
        if not messages:
            break
        for message in messages:
            sqs.send_message(QueueUrl=target, MessageBody=message["Body"], **_same_place(message))
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    of(context).output.done(f"{moved} messages sent to {queue} again", {"queue": queue, "moved": moved})


def _same_place(message: dict[str, Any]) -> dict[str, Any]:
    """Returns a FIFO message's group, with a new deduplication id.

    SQS would drop the old id for five minutes.
    """
    attributes = message.get("Attributes", {})
    more: dict[str, Any] = (
        {"MessageAttributes": message["MessageAttributes"]} if message.get("MessageAttributes") else {}
    )
    if "MessageGroupId" in attributes:
        more["MessageGroupId"] = attributes["MessageGroupId"]
    if "MessageDeduplicationId" in attributes:
        more["MessageDeduplicationId"] = f"redrive-{message['MessageId']}"
    return more


def _point_at(stage: str) -> None:
    """Tells the product's own code where this stage's tables are; what the environment says already stays."""
    from infra import stack  # noqa: PLC0415

    description = stack.load()
    for table in description.source.tables:
        os.environ.setdefault(stack.Resource("table", table).variable, description.full_name(stage, table))


def _sqs() -> Any:
    import boto3  # noqa: PLC0415

    return boto3.client("sqs", endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None)


def _description() -> "stack.Stack":
    from infra import stack  # noqa: PLC0415

    return stack.load()


def _url(sqs: Any, description: "stack.Stack", stage: str, name: str) -> str:
    from infra import stack  # noqa: PLC0415

    address = os.environ.get(stack.Resource("queue", name).variable)
    return str(address or sqs.get_queue_url(QueueName=description.queue_name(stage, name))["QueueUrl"])

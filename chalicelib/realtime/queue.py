"""The realtime queue: logged events from the topic, and the welcome of a new connection."""

import simplejson

from chalicelib import aws, config


def welcome(connection_id: str) -> None:
    """Has the first message sent to a connection, once it is open."""
    aws.client("sqs").send_message(
        QueueUrl=config.queue("realtime"),
        MessageBody=simplejson.dumps({"welcome": connection_id}),
        MessageGroupId=f"connection:{connection_id}",
        MessageDeduplicationId=f"welcome:{connection_id}",
    )

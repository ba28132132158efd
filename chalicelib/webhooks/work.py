"""What the functions call: an event to be matched, a task of the deliveries queue, a minute that has passed."""

from functools import cache

from chalicelib.events.models import LoggedEvent
from chalicelib.telemetry import log
from chalicelib.webhooks import fan_out, guard, hold, sweep
from chalicelib.webhooks.deliver import Means, attempt, deliver
from chalicelib.webhooks.queue import Message, Task
from chalicelib.webhooks.send import Sender


@cache
def means() -> Means:
    """The world as it is: one sender per process, whose connections stay open between invocations."""
    return Means(post=Sender(guard.Policy.of_deployment()).post)


def match(event: LoggedEvent) -> None:
    """Places the deliveries of an event. Raises Retryable when the queue has to bring it again."""
    placed = fan_out.fan_out(event, means().clock())
    about = {"event_id": event.event_id, "type": event.type, "stream": event.stream, "signal_id": event.signal_id}
    log.info("event matched", extra=about | {"deliveries": placed})


def do(message: Message) -> None:
    """Does one task. Raises Retryable when the queue has to bring it again."""
    if message.task is Task.DRAIN:
        result = f"released_{hold.drain(message.webhook_id, means().clock())}"
    elif message.task is Task.PROBE:
        result = hold.probe(message.webhook_id, means(), attempt)
    else:
        assert message.delivery_id is not None
        result = deliver(message.delivery_id, message.webhook_id, means())
    log.info("webhook task", extra={"task": message.task.value, "webhook_id": message.webhook_id, "result": result})


def minute() -> None:
    """Queues what has become due, and checks the books."""
    now = means().clock()
    log.info("deliveries swept", extra={"queued": sweep.sweep(now), "unequal_books": len(sweep.audit(now))})

"""Entry points of the Lambda functions.

They match an event, do tasks of the deliveries queue, and do the work of a minute.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from pydantic import ValidationError

from chalicelib.events.models import LoggedEvent
from chalicelib.telemetry import Metric, log, measure
from chalicelib.webhooks.delivery import circuit_breaker, fan_out, ssrf_guard, sweep
from chalicelib.webhooks.delivery.deliver import Dependencies, attempt, deliver_all
from chalicelib.webhooks.delivery.http_client import WebhookHttpClient
from chalicelib.webhooks.delivery.queue import Message, Task

_THREADS = 10


@cache
def dependencies() -> Dependencies:
    """Returns the real dependencies. One HTTP client per process keeps its connections open."""
    return Dependencies(post=WebhookHttpClient(ssrf_guard.Policy.of_deployment()).post)


def match_event(*events: LoggedEvent) -> None:
    """Creates the deliveries of events of one stream, in stream order.

    Raises Retryable if SQS must redeliver the events.
    """
    now = dependencies().clock()
    placed = fan_out.fan_out_all(events, now)
    measure(Metric.MATCHING_LAG, max(0.0, (now - min(event.timestamp for event in events)).total_seconds()))
    for event in events:
        about = {
            "event_id": event.event_id,
            "type": event.type,
            "stream": event.stream,
            "signal_id": event.signal_id,
        }
        log.info("event matched", extra=about | {"deliveries": placed[event.event_id]})


def handle_tasks(bodies: Mapping[str, str]) -> list[str]:
    """Does the tasks of a batch of the deliveries queue concurrently, up to ten.

    Args:
        bodies: The messages, by their ids in the queue.

    Returns:
        The ids of the messages that SQS must redeliver.
    """
    messages = {id_: message for id_, body in bodies.items() if (message := _parse_task(body))}
    wanted = {message.delivery_id: message.webhook_id for message in messages.values() if message.delivery_id}
    with ThreadPoolExecutor(_THREADS) as pool:
        others = {
            id_: pool.submit(_handle_task, message)
            for id_, message in messages.items()
            if not message.delivery_id
        }
        made = deliver_all(wanted, dependencies(), pool)
        results = {id_: future.result() for id_, future in others.items()}
    for id_, message in messages.items():
        result = results[id_] if id_ in results else made[str(message.delivery_id)]
        if isinstance(result, Exception):
            results[id_] = result
        else:
            log.info(
                "webhook task",
                extra={"task": message.task.value, "webhook_id": message.webhook_id, "result": result},
            )
    return [id_ for id_ in bodies if id_ not in messages or isinstance(results.get(id_), Exception)]


def _parse_task(body: str) -> Message | None:
    try:
        return Message.model_validate_json(body)
    except ValidationError as error:
        log.error(
            "malformed message in the deliveries queue",
            extra={"errors": error.errors(include_input=False, include_url=False)},
        )
        return None


def _handle_task(message: Message) -> str | Exception:
    """Releases an endpoint's backlog, or probes the endpoint."""
    try:
        if message.task is Task.DRAIN:
            return f"released_{circuit_breaker.drain(message.webhook_id, dependencies().clock())}"
        return circuit_breaker.probe(message.webhook_id, dependencies(), attempt)
    except Exception as fault:  # noqa: BLE001 - one task's fault is not the others'
        log.exception(
            "webhook task failed", extra={"task": message.task.value, "webhook_id": message.webhook_id}
        )
        return fault


def run_minute() -> None:
    """Queues due deliveries and checks the counters."""
    now = dependencies().clock()
    log.info("deliveries swept", extra={"queued": sweep.sweep(now), "unequal_books": len(sweep.audit(now))})

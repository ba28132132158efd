"""Whether the service answers."""

from chalicelib.http import Answer, Request, Route


def get_health(_request: Request) -> Answer:
    """Answers without touching anything behind it."""
    return Answer(200, {"status": "ok"})


HEALTH = [Route("GET", "/health", get_health)]

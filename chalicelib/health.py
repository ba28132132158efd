"""The health check."""

from chalicelib.http import Answer, Request, Route


def get_health(_request: Request) -> Answer:
    """Answers 200 without calling any other service."""
    return Answer(200, {"status": "ok"})


HEALTH = [Route("GET", "/health", get_health)]

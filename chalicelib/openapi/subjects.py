"""The documentation of every feature package. Imported only when the document is requested.

The path of a signal does not pay for it.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from chalicelib.openapi.docs import Docs

_SUBJECTS = (
    *(
        "accounts",
        "audit",
        "events",
        "journal",
        "openapi",
        "payments",
        "portfolio",
        "realtime",
        "risk",
        "signals",
        "strategies",
    ),
    *("telegram", "support", "users", "webhooks"),
)


@cache
def docs() -> Mapping[str, Docs]:
    """Returns every route's documentation, by method and path."""
    return {
        name: about for subject in _SUBJECTS for name, about in import_module(_place(subject)).DOCS.items()
    }


def _place(subject: str) -> str:
    return f"chalicelib.{subject}.{'own_docs' if subject == 'openapi' else 'docs'}"

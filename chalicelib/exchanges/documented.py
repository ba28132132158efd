"""The exchanges' documented error codes, each with its class, its words and where it is from (`documented_codes/{exchange}.json`).

The contract suite runs each of them through the adapter. Here they tell a code that is documented from one that was never seen.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib.exchanges.families import family

_FOLDER = Path(__file__).parent / "documented_codes"


@cache
def codes(exchange: str) -> dict[str, dict[str, Any]]:
    """The documented codes of an exchange's family. Empty for an exchange without a table."""
    path = _FOLDER / f"{family(exchange)}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["codes"]) if path.is_file() else {}

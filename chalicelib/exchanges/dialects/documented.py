"""The exchanges' documented error codes with class, message and source (`documented_codes/{exchange}.json`).

The contract suite runs each code through the adapter. At run time they separate documented codes from new
ones.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib.exchanges.dialects.families import family

_FOLDER = Path(__file__).parent / "documented_codes"


@cache
def codes(exchange: str) -> dict[str, dict[str, Any]]:
    """Returns the documented codes of an exchange's family. Empty for an exchange without a table."""
    path = _FOLDER / f"{family(exchange)}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["codes"]) if path.is_file() else {}

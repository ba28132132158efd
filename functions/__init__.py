"""One module per Lambda function, named verb_noun: event in, one call into chalicelib, answer out."""

import gc
from typing import Any

from chalicelib import config

# A cold start creates 110,000 to 170,000 objects that all stay. About 180 garbage collections would take 16
# to 18 % of the CPU time of a start with its first event. So the first collection runs after that event and
# freezes the objects that stay. Later collections are Python's usual ones.
_STARTED = 200_000
_USUAL = gc.get_threshold()


def _freeze_heap(phase: str, _info: dict[str, Any]) -> None:
    if phase == "stop":
        gc.callbacks.remove(_freeze_heap)
        gc.freeze()
        gc.set_threshold(*_USUAL)


if config.in_lambda():
    gc.callbacks.append(_freeze_heap)
    gc.set_threshold(_STARTED)

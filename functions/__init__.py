"""One module per Lambda function, named verb_noun: event in, one call into chalicelib, answer out."""

import gc
from typing import Any

from chalicelib import config

# A start makes 110,000 to 170,000 objects that all stay. Looking among them for garbage some 180 times takes
# 16 to 18 % of the CPU time of
# a start with its first event, so the first look comes after it; what has stayed until then is never looked
# at again, and all later looks
# are Python's usual ones.
_STARTED = 200_000
_USUAL = gc.get_threshold()


def _looked(phase: str, _info: dict[str, Any]) -> None:
    if phase == "stop":
        gc.callbacks.remove(_looked)
        gc.freeze()
        gc.set_threshold(*_USUAL)


if config.in_lambda():
    gc.callbacks.append(_looked)
    gc.set_threshold(_STARTED)

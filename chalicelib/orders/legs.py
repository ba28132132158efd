"""Legs: the names of a signal's orders on one account.

- "0", "1" …: the requested orders
- "close": the close of a position
- "0.sl", "0.tp": the exits of "0"
- "close-2": a further part of an order
- "close-short": the close of a second position
"""

CLOSING_LEG = "close"


def part_of(leg: str, number: int) -> str:
    """Returns the leg of a part, counted from 1. The first part has the leg's own name."""
    return leg if number == 1 else f"{leg}-{number}"


def whole(leg: str) -> str:
    """Returns the leg that a part belongs to."""
    return leg.partition("-")[0]


def is_further_part(leg: str) -> bool:
    """Returns whether the leg is a further part. Only a read of its own shows whether it exists."""
    return "-" in leg

"""Legs: the names of a signal's orders on one account.

- "0", "1" …: the requested orders
- "close": the close of a position
- "0.sl", "0.tp": the exits of "0"
- "0.slb", "0.tpb": the exits of its second share, where there are several take-profits
- "0.sl1", "0.slb1": exits of a later round, for what filled later
- "close-2": a further part of an order
- "close-short": the close of a second position
"""

CLOSING_LEG = "close"


def part_of(leg: str, number: int) -> str:
    """Returns the leg of a part, counted from 1. The first part has the leg's own name."""
    return leg if number == 1 else f"{leg}-{number}"


def share_suffix(number: int) -> str:
    """Returns what the exits of a share add to their leg, counted from 0. The first share adds nothing."""
    return "" if number == 0 else chr(ord("a") + number)


def whole(leg: str) -> str:
    """Returns the leg that a part belongs to."""
    return leg.partition("-")[0]


def is_further_part(leg: str) -> bool:
    """Returns whether the leg is a further part. Only a read of its own shows whether it exists."""
    return "-" in leg

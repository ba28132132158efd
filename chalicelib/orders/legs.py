"""The names of a signal's orders on one account: "0", "1", … as asked for, "close" for what goes first, "0.sl" and "0.tp" for exits.

An order that is sent in parts has further ones, with a hyphen: "close-2", and "close-short" for a second position.
"""

CLOSING_LEG = "close"


def part_of(leg: str, number: int) -> str:
    """The leg of a part, counted from 1; the first has the leg's own name."""
    return leg if number == 1 else f"{leg}-{number}"


def whole(leg: str) -> str:
    """The leg that a part belongs to."""
    return leg.partition("-")[0]


def is_further_part(leg: str) -> bool:
    """Whether it is one of which nobody knows beforehand whether there will be one."""
    return "-" in leg

"""The names of a signal's orders on one account.

"0", "1", … as asked for, "close", and "0.sl", "0.tp" for exits.

Further parts of an order have a hyphen, "close-2", and so has the order for a second position, "close-short".
"""

CLOSING_LEG = "close"


def part_of(leg: str, number: int) -> str:
    """The leg of a part, counted from 1; the first has the leg's own name."""
    return leg if number == 1 else f"{leg}-{number}"


def whole(leg: str) -> str:
    """The leg that a part belongs to."""
    return leg.partition("-")[0]


def is_further_part(leg: str) -> bool:
    """Whether the leg belongs to a further part, so that only its own look-up says whether it exists."""
    return "-" in leg

"""What a worker knows of an account's settings at its exchange."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class AccountSettings:
    """One account's settings on one market, kept for a while so that not every order looks at them.

    Attributes:
        manage_modes: The account's owner permits changing settings that hold for the whole account.
        prepared: Settings that were seen or made: market, hedged, margin mode, leverage.
        level: OKX's account level, `1` to `4`. None if it has not been read.
    """

    manage_modes: bool = False
    prepared: set[tuple[Any, ...]] = field(default_factory=set)
    level: str | None = None

    def forget(self) -> None:
        """Forgets what was seen, so that the next order looks again."""
        self.prepared.clear()
        self.level = None

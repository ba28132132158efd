"""The known settings of an account at its exchange."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class AccountSettings:
    """One account's settings on one market, cached so that not every order reads them.

    Attributes:
        manage_modes: Whether the owner permits changes of settings that apply to the whole account.
        prepared: Settings that were read or set: market, hedged, margin mode, leverage.
        level: OKX's account level, `1` to `4`. None if not read.
    """

    manage_modes: bool = False
    prepared: set[tuple[Any, ...]] = field(default_factory=set)
    level: str | None = None

    def forget(self) -> None:
        """Clears the cached settings, so that the next order reads them again."""
        self.prepared.clear()
        self.level = None

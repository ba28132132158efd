"""Answers for people (rich tables) or for programs (JSON)."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import simplejson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from tradehook.client import Failed


@dataclass(frozen=True)
class Output:
    """The output format of a run."""

    as_json: bool

    @property
    def console(self) -> Console:
        """Returns the console for tables and sentences. A new one each time follows a redirected stdout."""
        return Console(highlight=False, soft_wrap=True)

    def record(self, record: Mapping[str, Any], *, first: Sequence[str] = ()) -> None:
        """Prints one record, field by field."""
        if self.as_json:
            self._json(record)
            return
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name in [*first, *(name for name in record if name not in first)]:
            table.add_row(name, _cell(record.get(name)))
        self.console.print(table)

    def records(self, records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Prints a list as a table of these columns, or as JSON with all fields."""
        listed = list(records)
        if self.as_json:
            self._json(listed)
            return
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for record in listed:
            table.add_row(*(_cell(record.get(name)) for name in columns))
        self.console.print(table if listed else "none")

    def secret(self, sentence: str, secret: str, record: Mapping[str, Any]) -> None:
        """Prints a credential, shown only this once, alone on its line for copying or piping."""
        if self.as_json:
            self._json(record)
            return
        Console(stderr=True, highlight=False).print(escape(sentence))
        sys.stdout.write(f"{secret}\n")

    def text(self, text: str, record: Any) -> None:
        """Prints a text unchanged."""
        if self.as_json:
            self._json(record)
        else:
            sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def done(self, sentence: str, record: Mapping[str, Any]) -> None:
        """Prints that a command succeeded."""
        if self.as_json:
            self._json(record)
        else:
            self.console.print(escape(sentence))

    def note(self, sentence: str) -> None:
        """Prints a remark on stderr. Programs that read JSON do not get it."""
        if not self.as_json:
            Console(stderr=True, highlight=False, style="dim").print(escape(sentence))

    def failure(self, failed: "Failed") -> None:
        """Prints on stderr why a command failed."""
        if self.as_json:
            sys.stderr.write(
                simplejson.dumps(
                    failed.body | {"status": failed.status}, use_decimal=True, ensure_ascii=False
                )
                + "\n"
            )
            return
        console = Console(stderr=True, highlight=False)
        code = f" [dim]({escape(str(failed.body.get('code')))})[/dim]" if failed.body.get("code") else ""
        console.print(f"[red]{escape(str(failed))}[/red]{code}")

    def _json(self, value: Any) -> None:
        sys.stdout.write(
            simplejson.dumps(
                value, use_decimal=True, ensure_ascii=False, indent=None if _is_event(value) else 2
            )
            + "\n"
        )


def _is_event(value: Any) -> bool:
    """Returns whether a value is an event: events come one by one, each on one line."""
    return isinstance(value, Mapping) and "type" in value and "payload" in value


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return escape(", ".join(str(inner) for inner in value)) or "–"
    if isinstance(value, Mapping):
        return escape(simplejson.dumps(value, use_decimal=True, ensure_ascii=False))
    return escape(str(value))

"""The bot's commands and their replies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.errors import Forbidden, TooMany
from chalicelib.exchanges.wire import rounded
from chalicelib.execution import close_routes, queue_flatten
from chalicelib.paper import store as paper_store
from chalicelib.risk import halts
from chalicelib.risk.halts import Scope, Switch
from chalicelib.telegram import hand_out, links
from chalicelib.telegram.texts import text
from chalicelib.users import store as users
from chalicelib.users.models import AccountKind, UserContext


@dataclass(frozen=True, slots=True)
class Command:
    """A message to the bot.

    Attributes:
        private: The chat is private, so its id is the person's. Other chats have further readers.
        language: The language of the person's Telegram. None if it is not supported.
        names: The person's `username`, `first_name` and `last_name`.
    """

    update_id: int
    chat_id: int
    written: str
    private: bool
    language: str | None
    names: Mapping[str, str | None]

    @property
    def name(self) -> str:
        """The command, `/xc`, without the bot's name that may follow. Empty if the text is no command."""
        first = self.written.split(maxsplit=1)[0] if self.written.strip() else ""
        return first.partition("@")[0].lower() if first.startswith("/") else ""

    @property
    def argument(self) -> str:
        """The text after the command."""
        return self.written.partition(" ")[2].strip()


@dataclass(frozen=True, slots=True)
class Reply:
    """The bot's reply. `user_id` is None if the chat belongs to no user."""

    text: str
    user_id: str | None


def answer(command: Command, now: datetime) -> Reply | None:
    """Executes a command and returns the reply. None if no reply is needed."""
    if not command.private:
        return Reply(text("private_only", {}, command.language or "en"), None) if command.name else None
    user_id = links.owner(command.chat_id)
    if command.name == "/start" and command.argument:
        return _link(command, user_id, now)
    if command.name == "/xc":
        return _hand_out(command, user_id, now)
    owner = users.load_user_context(user_id) if user_id else None
    language = _language(user_id, command)
    if owner is None:
        name = "welcome" if command.name in ("/start", "/help") else "not_linked"
        return Reply(f"{text(name, {}, language)}\n\n{text('help', {}, language)}", None)
    if not owner.user.is_active:
        return Reply(text("user_not_active", {}, language), user_id)
    return Reply(_reply(command, owner, language), user_id)


def _reply(command: Command, owner: UserContext, language: str) -> str:
    if command.name == "/close":
        return _close(command, owner, language)
    does = _COMMANDS.get(command.name)
    if does is None:
        unknown = text("unknown_command", {"command": command.written[:64]}, language)
        return f"{unknown}\n\n{_help(owner, language)}"
    return does(owner, language)


def _start(owner: UserContext, language: str) -> str:
    return f"{text('welcome_back', {'user_id': owner.user.user_id}, language)}\n\n{_help(owner, language)}"


def _help(_owner: UserContext, language: str) -> str:
    return text("help", {}, language)


def _halt(owner: UserContext, language: str) -> str:
    user_id = owner.user.user_id
    shown = halts.set_switch(_switch(user_id), halted=True, by=user_id, admin=False, reason="Telegram")
    queue_flatten.cancel_entries(_switch(user_id), shown["at"])
    return text("halted", {}, language)


def _close(command: Command, owner: UserContext, language: str) -> str:
    """Closes everything once the user has confirmed. A first `/close` says what will happen."""
    user_id = owner.user.user_id
    if command.argument.lower() != "yes":
        return text("close_asks", {"count": len(owner.directory.accounts)}, language)
    queued = close_routes.request_close(_switch(user_id), by=user_id, now=datetime.now(UTC))
    return text("close_queued", {"count": len(queued["accounts"])}, language)


def _link(command: Command, before: str | None, now: datetime) -> Reply:
    user_id = links.link(command.argument, command.chat_id, now)
    language = _language(user_id or before, command)
    if user_id is None:
        return Reply(text("code_wrong", {}, language), before)
    return Reply(text("linked", {"user_id": user_id}, language), user_id)


def _hand_out(command: Command, user_id: str | None, now: datetime) -> Reply | None:
    language = _language(user_id, command)
    try:
        hand_out.allow(command.chat_id, now)
    except TooMany as over:
        return Reply(text("too_many", {"minutes": -(-over.retry_after // 60)}, language), user_id)
    user_id = user_id or hand_out.join(command.chat_id, **command.names)
    if not users.user(user_id).is_active:
        return Reply(text("user_not_active", {}, language), user_id)
    hand_out.send(command.chat_id, user_id, f"update:{command.update_id}")
    return None


def _resume(owner: UserContext, language: str) -> str:
    user_id = owner.user.user_id
    try:
        halts.set_switch(_switch(user_id), halted=False, by=user_id, admin=False)
    except Forbidden:
        return text("resume_refused", {}, language)
    return text("resumed", {}, language)


def _status(owner: UserContext, language: str) -> str:
    switches = halts.read_switches([Switch(Scope.GLOBAL), _switch(owner.user.user_id)])
    words = {
        "user_id": owner.user.user_id,
        "active": text("active" if owner.user.is_active else "inactive", {}, language),
        "halted": text(
            "is_halted" if any(switch["halted"] for switch in switches) else "running", {}, language
        ),
    }
    return text("status", owner.settings.model_dump(mode="json") | words, language)


def _positions(owner: UserContext, language: str) -> str:
    """Returns the positions of the simulated accounts.

    The positions of an account with keys are at the exchange.
    """
    listed = list(owner.directory.accounts.values())
    found = (
        aws.get_many([("accounts", {"account_id": entry.account_id}) for entry in listed]) if listed else []
    )
    accounts = [Account.model_validate(item) for item in found if item]
    blocks = [
        block for account in accounts if _is_simulated(account) and (block := _holdings(account, language))
    ]
    if any(not _is_simulated(account) for account in accounts):
        blocks.append(text("live_not_shown", {}, language))
    return "\n\n".join(blocks) or text("no_positions", {}, language)


def _holdings(account: Account, language: str) -> str:
    book = paper_store.read_book(account)
    held: list[dict[str, Any]] = [
        {"name": name, "quantity": holding.quantity, "average_price": rounded(holding.average_price)}
        for name, holding in book.holdings.items()
    ]
    held += [
        {"name": name, "quantity": position.quantity, "average_price": rounded(position.entry_price)}
        for name, position in book.positions.items()
    ]
    lines = [
        text("holding", {key: _plain(value) for key, value in each.items()}, language)
        for each in held
        if each["quantity"]
    ]
    return (
        "\n".join(
            [text("positions", {"account": account.name, "exchange": account.exchange}, language), *lines]
        )
        if lines
        else ""
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else format(value.normalize(), "f")


def _is_simulated(account: Account) -> bool:
    return account.kind == AccountKind.PAPER or (
        account.kind == AccountKind.DEMO and account.sealed_keys is None
    )


def _switch(user_id: str) -> Switch:
    return Switch(Scope.USER, user_id, user_id)


def _language(user_id: str | None, command: Command) -> str:
    chosen = links.preferences(user_id).get("language") if user_id else None
    return chosen or command.language or "en"


_COMMANDS: Mapping[str, Callable[[UserContext, str], str]] = {
    "/start": _start,
    "/status": _status,
    "/positions": _positions,
    "/halt": _halt,
    "/resume": _resume,
    "/help": _help,
}

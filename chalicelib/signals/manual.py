"""Manual orders of a signed-in admin. They are stored, queued, executed and traced as any signal."""

from chalicelib import aws, symbols
from chalicelib.errors import NotFound, Refused, Unauthorized
from chalicelib.http import Answer, Request
from chalicelib.risk import rules
from chalicelib.signals.accept import InboundRoute, accept
from chalicelib.signals.answers import answer
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import closing, opening, sizes, terms
from chalicelib.signals.reading.fields import Fields
from chalicelib.signals.reading.values import Reader
from chalicelib.signals.source import SignalSource
from chalicelib.trading import Size, Variant
from chalicelib.unknown_fields import refuse_unknown, unknown_field
from chalicelib.users import access
from chalicelib.users.models import AccountKind, user_context_from_items

_LONGEST_ID = 64
_NULLABLE = ("account", "account_id", "user_id", "quantity", "quantity_type", "qty_per")
"""Fields in alternative pairs. A client sends null for the field that it does not use.

One field of each pair is required.
"""


def place_order(request: Request) -> Answer:
    """Places a manual order on any account. For admins."""
    refuse_unknown(request.query, ("wait",))
    return answer(request, accept(request, InboundRoute(_sender, _signal)))


def sender_of(user_id: str) -> SignalSource:
    """Returns a user as the source of a signal without a webhook token. An API token authenticates it.

    Raises:
        NotFound: The user does not exist.
    """
    wanted: list[tuple[str, aws.Key]] = [
        ("users", {"user_id": user_id, "part": part}) for part in ("profile", "settings", "directory")
    ]
    wanted += [("risk", {"scope": scope}) for scope in ("global", f"user#{user_id}")]
    profile, settings, directory, *controls = aws.get_many(wanted)
    owner = user_context_from_items(profile, settings, directory)
    if owner is None:
        raise NotFound("user_not_found")
    halted = any(bool((control or {}).get("halted")) for control in controls)
    return SignalSource(
        owner,
        authenticated=True,
        halted=halted,
        strategy=None,
        rules=tuple(map(rules.rules_from_item, controls)),
    )


def _sender(request: Request, fields: Fields | None) -> SignalSource:
    who = access.caller(request)
    who.require_admin()
    if fields and fields.token:
        raise Unauthorized("token_wrong")  # a webhook token in the body never authorises a manual order
    named = fields.text("user_id") if fields else None
    if named and len(named) > _LONGEST_ID:
        raise NotFound("user_not_found")
    return sender_of(named or who.user_id)


def _signal(fields: Fields, sender: SignalSource) -> Signal:
    """Parses the body. An unknown field is refused, because the admin expects it to have an effect."""
    reader = Reader(fields)
    reader.text("user_id")
    reader.require(
        *(() if reader.given("account_id") else ("account",)),
        "symbol",
        *(() if reader.given("market_position") else ("side",)),
    )
    account = _account(reader, sender)
    if closing.is_closing(Variant.MANUAL, fields):
        return closing.read(Variant.MANUAL, fields, account)
    opening.check_fields(fields, Variant.MANUAL, _NULLABLE)
    action = reader.needed("side", terms.ACTIONS)
    order_type = terms.order_type(reader)
    market_type = reader.choice("market_type", terms.MARKET_TYPES)
    given = terms.prices(reader, order_type)
    size = _size(reader)
    sizes.check_value(size, given["price"])
    signal = Signal(
        variant=Variant.MANUAL,
        action=action,
        symbol=symbols.resolve(reader.text("symbol") or "", market_type, paper=_on_paper(sender, account)),
        market_type=market_type,
        order_type=order_type,
        size=size,
        **given,
        **terms.order_terms(reader),
        account=account,
        **terms.common(reader),
    )
    for name in reader.unknown():
        raise unknown_field(reader.shown(name), reader.names_read)
    terms.check_stop_loss(signal)
    return signal


def _size(reader: Reader) -> Size | None:
    """Returns a quantity with its unit, or a percentage as in group signals. Closing needs neither."""
    if not reader.given("qty_per"):
        reader.require("quantity")
    return sizes.read(reader)


def _on_paper(sender: SignalSource, account: str | None) -> bool:
    entry = sender.owner.directory.accounts.get(account or "")
    return entry is not None and entry.kind is AccountKind.PAPER


def _account(reader: Reader, sender: SignalSource) -> str | None:
    """Returns the account's name, also if the body gives its id.

    Raises:
        Refused: `conflicting_fields` if the name and the id are those of two accounts.
        NotFound: The user has no account of this id.
    """
    name, account_id = reader.text("account"), reader.text("account_id")
    if account_id is None:
        return name
    found = next(
        (known for known, entry in sender.owner.directory.accounts.items() if entry.account_id == account_id),
        None,
    )
    if found is None:
        raise NotFound("account_not_found", account=account_id)
    if name not in (None, found):
        raise Refused("conflicting_fields", field="account", other="account_id")
    return found

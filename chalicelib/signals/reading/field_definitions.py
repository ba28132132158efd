"""The fields of a webhook body: names, aliases, kind, the webhooks that read them, meaning.

The parser, the documentation, the OpenAPI document and `POST /signals/explain` use this table.
`trade_words.py` recognises unknown keys that would change the trade.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.trading import Variant


class Kind(StrEnum):
    """What a field decides."""

    SIZE = "size"
    UNIT = "unit"
    PROTECTION = "protection"
    ORDER_TYPE = "order_type"
    PRICE = "price"
    LEVERAGE = "leverage"
    DIRECTION = "direction"
    REDUCE = "reduce"
    ACCOUNT = "account"
    CREDENTIAL = "credential"
    INSTRUMENT = "instrument"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class Field:
    """A key with a meaning.

    Attributes:
        aliases: Other names, each in every spelling.
        variants: The webhooks that read the field. Other webhooks keep the field unused, or refuse it with
            the right URL.
        meaning: One line for the documentation.
    """

    name: str
    kind: Kind
    variants: frozenset[Variant]
    meaning: str
    aliases: tuple[str, ...] = ()


EVERY = frozenset(Variant)
"""Every webhook, and manual orders."""

SIZED = frozenset({Variant.XC, Variant.PAPER, Variant.MANUAL})
"""The webhooks whose orders are sized by a quantity."""

BY_PERCENT = frozenset({Variant.GROUP, Variant.PAPER, Variant.MANUAL})

TYPE_NAMES = frozenset({"type", "ordtype"})
"""Squashed names that mean `order_type` only if the value is an order type."""

FIELDS = (
    Field(
        "symbol",
        Kind.INSTRUMENT,
        EVERY,
        "the instrument, see [Symbols](#symbols)",
        ("ticker", "coinmarket", "pair"),
    ),
    Field("side", Kind.DIRECTION, EVERY, "what to do, see [Actions](#actions)", ("action", "command")),
    Field(
        "quantity",
        Kind.SIZE,
        SIZED,
        "how much, in base units, never in exchange contracts. `5%` is a percentage",
        ("qty", "contracts", "amount", "size", "units", "shares"),
    ),
    Field(
        "quantity_type",
        Kind.UNIT,
        SIZED,
        "the unit of `quantity`, see [Sizes](#sizes)",
        (
            *(
                "qty_type",
                "amount_type",
                "size_type",
                "units_type",
                "contracts_type",
                "shares_type",
                "currency_type",
            ),
            *("investment_type", "quantity_unit", "qty_unit", "amount_unit", "size_unit"),
        ),
    ),
    Field(
        "qty_per",
        Kind.SIZE,
        BY_PERCENT,
        "how much, in percent",
        ("percent", "qty_percent", "quantity_percent"),
    ),
    Field("orders", Kind.SIZE, frozenset({Variant.GROUP}), "the orders of a batch"),
    Field(
        "order_type",
        Kind.ORDER_TYPE,
        EVERY,
        "the order type. `type` and `ord_type` count where the value is one",
        ("type", "ord_type"),
    ),
    Field("price", Kind.PRICE, EVERY, "limit price, or a reference", ("limit_price",)),
    Field("stop_price", Kind.PRICE, EVERY, "trigger price of a stop order"),
    Field("time_in_force", Kind.ORDER_TYPE, EVERY, "`GTC`, `IOC`, `FOK`", ("tif",)),
    Field("post_only", Kind.ORDER_TYPE, EVERY, "yes or no: a limit order that never takes liquidity"),
    Field("reduce_only", Kind.REDUCE, EVERY, "yes or no: the order opens nothing"),
    Field(
        "take_profit",
        Kind.PROTECTION,
        EVERY,
        "where to leave with a profit what the order opens, see [Exits](exits.md)",
        ("tp",),
    ),
    Field(
        "stop_loss",
        Kind.PROTECTION,
        EVERY,
        'where to leave with a loss what the order opens: a price, `2%` or `{"distance": 100}`',
        ("sl",),
    ),
    Field(
        "take_profits",
        Kind.PROTECTION,
        EVERY,
        "up to six take-profits, each with a `share` of the position in percent",
    ),
    Field(
        "break_even_after",
        Kind.PROTECTION,
        EVERY,
        "moves the stop-loss to the entry: `1` after the first take-profit, `2%` after such a move",
    ),
    Field(
        "trailing_stop",
        Kind.PROTECTION,
        EVERY,
        'a stop that follows the best price: `1%` or `{"distance": 100}`, with `activation` if wanted',
    ),
    Field(
        "risk_percent",
        Kind.PROTECTION,
        EVERY,
        "percentage of the free balance that the stop-loss may cost. The order is no larger; "
        "`stop_loss` is required",
        ("risk",),
    ),
    Field(
        "expires_in_s",
        Kind.ORDER_TYPE,
        EVERY,
        "seconds after which a resting order ends, see [Time limits](#time-limits). At most 30 days",
    ),
    Field(
        "on_expiry",
        Kind.ORDER_TYPE,
        EVERY,
        "what happens with the rest of an order that expires: `cancel` (the default) or `market`; "
        "`expires_in_s` is required",
    ),
    Field(
        "exit_after_s",
        Kind.PROTECTION,
        EVERY,
        "seconds after its first fill at which what the order opened is closed. At most 30 days",
    ),
    Field("leverage", Kind.LEVERAGE, EVERY, "whole number, at most the user's setting `leverage`"),
    Field(
        "position_side", Kind.DIRECTION, EVERY, "`long` or `short`: the position of an account in hedge mode"
    ),
    Field(
        "market_position", Kind.DIRECTION, EVERY, "TradingView's `long`, `short` or `flat` after the order"
    ),
    Field(
        "market_position_size",
        Kind.SIZE,
        EVERY,
        "TradingView's size of the position after the order, in base units",
    ),
    Field("prev_market_position", Kind.DIRECTION, EVERY, "TradingView's position before the order"),
    Field(
        "prev_market_position_size", Kind.SIZE, EVERY, "TradingView's size of the position before the order"
    ),
    Field(
        "account",
        Kind.ACCOUNT,
        EVERY,
        "the account by name. On group, only this account of the strategy",
        ("account_name",),
    ),
    Field("account_id", Kind.ACCOUNT, frozenset({Variant.MANUAL}), "the account by its id"),
    Field("user_id", Kind.ACCOUNT, frozenset({Variant.MANUAL}), "whose account"),
    Field(
        "demo", Kind.ACCOUNT, EVERY, "yes: on demo and paper accounts only. No changes nothing, except for xc"
    ),
    Field("exchange", Kind.ACCOUNT, frozenset({Variant.XC, Variant.GROUP}), "the exchange"),
    Field("market_type", Kind.INSTRUMENT, EVERY - {Variant.PAPER}, "`spot` or `futures`"),
    Field("currency", Kind.INSTRUMENT, frozenset({Variant.GROUP}), "the quote currency"),
    Field("group_name", Kind.ACCOUNT, frozenset({Variant.GROUP}), "the strategy"),
    Field("strategy_id", Kind.LABEL, EVERY, "a label"),
    Field(
        "token",
        Kind.CREDENTIAL,
        EVERY,
        "the webhook token, also as `key`, `passphrase` or `api_key`, see [Credentials](#credentials)",
        ("secret",),
    ),
    Field("code", Kind.CREDENTIAL, frozenset({Variant.XC}), "the code of xc"),
    Field("chat_id", Kind.LABEL, frozenset({Variant.XC}), "the Telegram chat that asks for its code"),
    Field(
        "idempotency_key",
        Kind.LABEL,
        EVERY,
        "your own key for this signal; a duplicate within 24 h trades nothing. At most 256 characters",
        ("alert_id",),
    ),
    Field(
        "timestamp",
        Kind.LABEL,
        EVERY,
        "when the signal was sent: ISO 8601 (UTC unless it names an offset), or epoch (milli)seconds",
    ),
    Field("timenow", Kind.LABEL, EVERY, "the same. Of two times the older counts"),
    Field("max_lag", Kind.LABEL, EVERY, "seconds after which the signal opens nothing"),
    Field("max_age", Kind.LABEL, EVERY, "the same. Of two limits the shorter counts"),
)

BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}

ALIASES: Mapping[str, tuple[str, ...]] = {field.name: field.aliases for field in FIELDS}
"""Every key with a meaning, and its other names. All spellings of a name are equal."""

_PRINTABLE = re.compile(r"[\x20-\x5b\x5d-\x7e]*")
_SEPARATORS = re.compile(r"[\s_\-]+")


def squash(name: str) -> str:
    """Returns a name without irrelevant differences in spelling.

    `Group-Name`, `groupName`, `group_name` become `groupname`.
    """
    return _SEPARATORS.sub("", name).lower()


def is_plain(key: str) -> bool:
    """Returns whether a key is printable ASCII without a backslash. Other keys name no field."""
    return bool(_PRINTABLE.fullmatch(key))


def reads(variant: Variant, name: str) -> bool:
    """Returns whether a webhook reads a known field."""
    return variant in BY_NAME[name].variants


def table() -> str:
    """Returns the fields as the Markdown table of `docs/signals.md`."""
    rows = []
    for field in FIELDS:
        also = ", ".join(f"`{alias}`" for alias in field.aliases)
        rows.append(f"| `{field.name}` | {also} | {field.meaning} | {_where(field)} |".replace("|  |", "| |"))
    return "\n".join(("| field | also | meaning | read by |", "|---|---|---|---|", *rows))


def _where(field: Field) -> str:
    webhooks = [variant.value for variant in Variant if variant is not Variant.MANUAL]
    read = [
        variant.value for variant in Variant if variant in field.variants and variant is not Variant.MANUAL
    ]
    if len(read) == len(webhooks):
        return "all"
    if len(read) == len(webhooks) - 1:
        return f"all but {next(name for name in webhooks if name not in read)}"
    return ", ".join(read) or "orders by hand"

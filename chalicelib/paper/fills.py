"""What a simulated account's fills did to its holdings and positions, for the journal. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from chalicelib.exchanges.protocol import OrderRequest, Side
from chalicelib.paper.balances import Holding, Position
from chalicelib.paper.money import Fill

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class BalanceFill:
    """What a fill did to one holding or futures position. Amounts are in the account's currency.

    Attributes:
        item: "asset#BTC" or "position#BTCUSDT".
        symbol: The instrument. Of a quote currency that is a holding, its name.
        quantity: Base units, negative if sold.
        rounding: What the account received beyond price × quantity, because amounts of money are rounded.
        held, average_price: The holding or position before the fill.
    """

    client_order_id: str
    item: str
    symbol: str
    group: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    rounding: Decimal
    held: Decimal
    average_price: Decimal


def exchange_fills(
    order: OrderRequest, done: Fill, group: str, rate: Decimal, before: Mapping[str, Holding]
) -> list[BalanceFill]:
    """Returns what a spot fill did to its asset, and to its quote currency, which may be a holding too.

    Args:
        rate: The value of one unit of the quote currency.
        before: Both holdings before the fill, the asset first. One if both are kept in the same balance.
    """
    sign = 1 if order.side is Side.BUY else -1
    moves = (
        (order.instrument.name, sign * done.quantity, done.price, done.commission, done.value),
        (order.instrument.quote, -sign * done.total, Decimal(1), _ZERO, done.total),
    )
    return [
        BalanceFill(
            client_order_id=order.client_order_id,
            item=f"asset#{purse}",
            symbol=symbol,
            group=group,
            quantity=quantity,
            price=price * rate,
            fee=fee * rate,
            rounding=(price * abs(quantity) - value) * rate * (1 if quantity > 0 else -1),
            held=holding.quantity,
            average_price=holding.average_price,
        )
        for (purse, holding), (symbol, quantity, price, fee, value) in zip(
            before.items(), moves, strict=False
        )
        if quantity
    ]


def position_fill(
    order: OrderRequest,
    done: Fill,
    group: str,
    rate: Decimal,
    before: Position,
    closing: Decimal,
    profit: Decimal,
) -> BalanceFill:
    """Returns what a futures fill did to its position.

    Args:
        rate: The value of one unit of the quote currency.
        closing: Base units that it closed.
        profit: What that realised, as it was paid, in the quote currency.
    """
    exact = before.profit(done.price) * closing / abs(before.quantity) if closing else _ZERO
    return BalanceFill(
        client_order_id=order.client_order_id,
        item=f"position#{order.instrument.name}",
        symbol=order.instrument.name,
        group=group,
        quantity=done.quantity if order.side is Side.BUY else -done.quantity,
        price=done.price * rate,
        fee=done.commission * rate,
        rounding=(profit - exact) * rate,
        held=before.quantity,
        average_price=before.entry_price * rate,
    )

"""Dry run: what a signal would do on each account, and why not. Nothing is placed, claimed or written.

No exchange is called and no key is decrypted. An exchange account is computed from its last snapshot.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalicelib import aws, inputs, messages
from chalicelib.accounts.model import Account
from chalicelib.errors import Forbidden, NotDoable, NotFound, Refused
from chalicelib.exchanges.protocol import Instrument, Side
from chalicelib.execution import paper_context, plan_orders, protective_orders, reference_price, sizing
from chalicelib.execution.dry_run import DryRunExecution, PaperDryRun
from chalicelib.execution.reference_price import PriceSource
from chalicelib.execution.risk_check import PreTradeRiskCheck
from chalicelib.http import Answer, Request, Route
from chalicelib.orders.models import Instruction, Order
from chalicelib.paper import store as paper_store
from chalicelib.paper.money import BASIS_POINT, round_money
from chalicelib.portfolio import snapshots
from chalicelib.prices import store as prices
from chalicelib.risk import rules
from chalicelib.risk import state as risk_state
from chalicelib.risk.state import RiskState
from chalicelib.signals import manual
from chalicelib.signals import plan as plans
from chalicelib.signals.reading import fields as bodies
from chalicelib.signals.reading import presented, unused, variants
from chalicelib.signals.reading.fields import Fields
from chalicelib.signals.source import SignalSource, strategy_switch
from chalicelib.signals.staleness import check_age, is_closing
from chalicelib.trading import MarketType, Variant
from chalicelib.users import credentials
from chalicelib.users.access import caller
from chalicelib.users.models import shown_id

_DRY = "dry-run"
_MOST_ACCOUNTS = 50
_VARIANTS = (*(variant.value for variant in Variant if variant is not Variant.MANUAL), "batch", "cancel")
_OWN_ROUTE = {variant.value: variant for variant in (Variant.LEGACY, Variant.PERSONAL, Variant.XC)}
_INBOUND = (credentials.Kind.WEBHOOK, credentials.Kind.XC_CODE)


_Client = PaperDryRun | DryRunExecution


def explain(request: Request) -> Answer:
    """Returns what a webhook body would do.

    The answer is the webhook's refusal, or for each account what would be traded and why not.

    The body is that of a webhook, in any format. `?variant=` names the webhook if it is not `/api/webhook`.
    The body is read as the caller's, or for an admin as that of `?user_id=`. A token in the body is checked.
    None is required. A simulated account is sized by its records and the last known price. An account with
    exchange keys is sized by its last snapshot. `balances_at` is the time of the snapshot.
    """
    who = caller(request)
    user_id = who.whose(request)
    named = inputs.choice(request, "variant", _VARIANTS)
    fields = bodies.read(request.body)
    variant = _OWN_ROUTE.get(named or "") or variants.variant_of_api_webhook(fields)
    sender = _sender(user_id, fields)
    signal = variants.read_signal(variant, fields)
    plan = plans.make_plan(signal, sender, request.received_at)
    check_age(signal, plan, request.received_at, sender, closes=is_closing(signal, fields))
    instructions = plans.instructions(_DRY, signal, sender, plan, request.received_at)
    body = {
        "variant": variant.value,
        "user_id": shown_id(user_id),
        "signal": signal.model_dump(),
        "fields": unused.explained(
            signal, fields, closing=plans.is_closing(signal), language=request.language
        ),
        "settings": sender.owner.settings.model_dump(),
        "market_type": plan.market_type,
        "total_accounts": len(plan.targets),
        "accounts": [_DryRun(each, request.language).run() for each in instructions[:_MOST_ACCOUNTS]],
    }
    return Answer(200, body)


def _sender(user_id: str, fields: Fields) -> SignalSource:
    """Returns the user as signal source, with the strategy that the body names.

    A token or code in the body must belong to this user.

    Raises:
        Unauthorized: The token or code belongs to another user.
        Forbidden: The user is not active.
    """
    sender = manual.sender_of(user_id)
    if not sender.owner.user.is_active:
        raise Forbidden("user_not_active")
    named = [each for each in (fields.token, fields.code) if each]
    ours = [each for each in presented.of_body(fields) if credentials.owner(each)]
    for credential in dict.fromkeys([*named, *ours]):
        stored = aws.get("credentials", {"token_hash": credentials.digest(credential)})
        credentials.verify(
            credential,
            stored if stored and stored["user_id"] == user_id else None,
            _INBOUND,
            datetime.now(UTC),
        )
    group_name = fields.text("group_name")
    strategy = aws.get("strategies", {"user_id": user_id, "group_name": group_name}) if group_name else None
    control = aws.get("risk", strategy_switch(user_id, group_name).key) if group_name else None
    halted = sender.halted or bool((control or {}).get("halted"))
    return SignalSource(
        sender.owner, sender.authenticated, halted, strategy, (*sender.rules, rules.rules_from_item(control))
    )


class _DryRun:
    """One instruction, executed by a client that places nothing."""

    def __init__(self, instruction: Instruction, language: str) -> None:
        self.instruction, self.language, self.now = instruction, language, datetime.now(UTC)

    def run(self) -> dict[str, Any]:
        """Returns what the instruction would do."""
        instruction = self.instruction
        symbol = instruction.symbol.name if instruction.symbol else ""
        active_rules = risk_state.switches(
            instruction.user_id, instruction.account_id, instruction.group_name
        )
        keys = risk_state.item_keys(active_rules)
        account_key: tuple[str, aws.Key] = ("accounts", {"account_id": instruction.account_id})
        item, *more = aws.get_many([account_key, *keys, *prices.keys_for(instruction)])
        if item is None:
            return self._account_view(None) | self._why(
                NotFound("account_not_found", account=instruction.account_id)
            )
        account = Account.model_validate(item)
        state = RiskState(active_rules, more[: len(keys)])
        live, last_seen = prices.live_and_last(more[len(keys) :], self.now)
        if account.has_exchange:
            return self._at_exchange(account, state, live or last_seen)
        price, source = reference_price.of_simulated(instruction, live, last_seen)
        stored = paper_store.items(account.account_id)
        valued = paper_context.symbols(stored, account.currency)
        found = (
            paper_context.read(paper_context.price_keys(valued, account.user_id, account.exchange))
            if valued
            else []
        )
        book = paper_store.book(account, stored)
        book.prices = paper_context.prices_of(valued, found, self.now)
        state.count_in(account.currency, paper_context.dollars_per_unit(account, book.prices))
        client = PaperDryRun(book, instruction, {symbol: price} if price else {}, self.now, source)
        if price and source is PriceSource.SIGNAL:
            client.on_price(symbol, price)
        return self._result(account, client, self._risk_check(client, state)) | {"balances_known": True}

    def _at_exchange(self, account: Account, state: RiskState, price: Decimal | None) -> dict[str, Any]:
        if account.sealed_keys is None:
            return self._account_view(account) | self._why(
                NotDoable("exchange_key_missing", exchange=account.exchange)
            )
        snapshot = snapshots.latest_snapshot(account.account_id)
        client = DryRunExecution(account, self.instruction, snapshot, price)
        risk_check = self._risk_check(client, state)
        client.recheck_risk = risk_check.opening
        result = self._result(account, client, risk_check)
        if snapshot:
            result |= {"balances_known": True, "balances_at": snapshot["taken_at"]}
        if client.missing:
            # With the signal's price, only a live price is missing, which `price_source` shows.
            unseen = client.price_source is not PriceSource.SIGNAL
            if unseen and result.get("code", "no_position") == "no_position":  # no known position
                result |= self._why(client.no_snapshot_yet())
            result["would_trade"] = None
        return result

    def _risk_check(self, client: _Client, state: RiskState) -> PreTradeRiskCheck:
        return PreTradeRiskCheck(self.instruction, client, state, lambda: state, self.now)

    def _result(self, account: Account, client: _Client, risk_check: PreTradeRiskCheck) -> dict[str, Any]:
        instruction, shown = self.instruction, self._account_view(account)
        try:
            if not account.is_active:
                raise NotFound("account_not_found", account=account.name)
            outcome = self._plan(instruction, client, risk_check)
        except Refused as refused:
            return (
                shown
                | self._rules(client)
                | {"orders": self._orders(client.placed, account, client)}
                | self._why(refused)
            )
        orders = self._orders(outcome.orders, account, client)
        refused_legs = [self._why_of(leg.code, leg.values) | {"leg": leg.leg} for leg in outcome.refused]
        first = orders[-1] if orders else {}
        result = {
            name: first[name] for name in ("side", "quantity", "fee", "margin", "cost") if name in first
        }
        reason = (
            {name: refused_legs[0][name] for name in ("code", "error", "nearest") if name in refused_legs[0]}
            if refused_legs
            else {}
        )
        counts = {"would_cancel": outcome.cancelled, "orders": orders, "refused": refused_legs}
        return shown | self._rules(client) | result | counts | reason | {"would_trade": bool(orders)}

    @staticmethod
    def _plan(
        instruction: Instruction, client: _Client, risk_check: PreTradeRiskCheck
    ) -> plan_orders.Outcome:
        """Plans the orders. Raises Refused (`out_of_range`) if a value cannot be computed."""
        try:
            return plan_orders.plan_orders(instruction, client, risk_check)
        except ArithmeticError:
            raise sizing.out_of_range() from None

    def _account_view(self, account: Account | None) -> dict[str, Any]:
        instruction = self.instruction
        return {
            "account_id": shown_id(instruction.account_id),
            "account_name": account.name if account else None,
            "exchange": instruction.exchange,
            "kind": account.kind if account else None,
            "symbol": instruction.symbol.name if instruction.symbol else None,
            "balances_known": False,
            "balances_at": None,
            "would_trade": None if account else False,
            "would_cancel": 0,
            "orders": [],
            "refused": [],
        }

    def _rules(self, client: _Client) -> dict[str, Any]:
        """Returns the instrument's order rules, and the price used for sizing."""
        instrument = client.instrument_used
        if instrument is None or self.instruction.symbol is None:
            return {}
        return {
            "price": client.market_price(self.instruction.symbol),
            "price_source": client.price_source,
            "price_tick": instrument.price_tick,
            "quantity_step": instrument.quantity_step,
            "minimum_quantity": instrument.minimum_quantity or instrument.quantity_step,
            "minimum_notional": instrument.minimum_notional,
            "currency": instrument.quote,
        }

    def _orders(self, orders: Sequence[Order], account: Account, client: _Client) -> list[dict[str, Any]]:
        return [_order(order, account, client.instrument_used, self.instruction.leverage) for order in orders]

    def _why(self, refused: Refused) -> dict[str, Any]:
        why = self._why_of(refused.code, refused.values)
        return {"would_trade": False, "refused": [why | {"leg": "0"}], **why}

    def _why_of(self, code: str, values: dict[str, Any]) -> dict[str, Any]:
        nearest = {"nearest": Decimal(values["nearest"])} if "nearest" in values else {}
        return {"code": code, "error": messages.render(code, values, self.language), **nearest}


def _order(order: Order, account: Account, instrument: Instrument | None, leverage: int) -> dict[str, Any]:
    """Returns an order as it would be placed. A resting order is valued at its own price."""
    quote = instrument.quote if instrument else account.currency
    price = order.average_price or order.price or order.stop_price or Decimal(0)
    value = order.value if order.value is not None else round_money(price * order.quantity, quote)
    fee = (
        order.fee
        if order.fee is not None
        else round_money(value * account.commission_bps * BASIS_POINT, quote)
    )
    futures = order.market_type is MarketType.FUTURES
    margin = round_money(value / leverage, quote) if futures and not order.reduce_only else None
    spent = margin if futures else value if order.side is Side.BUY else None
    return {
        "leg": order.leg,
        "symbol": order.symbol,
        "side": order.side,
        "order_type": order.order_type,
        "market_type": order.market_type,
        "quantity": order.quantity,
        "price": price,
        "stop_price": order.stop_price,
        "reduce_only": order.reduce_only,
        "status": order.status,
        "expires_at": order.expires_at,
        "on_expiry": order.on_expiry if order.expires_at else None,
        "exit_after_s": order.exit_after_s,
        "value": value,
        "fee": fee,
        "margin": margin,
        "cost": None if spent is None else spent + fee,
        "exits": protective_orders.expected_exits(order, instrument, price) if instrument and price else [],
    }


EXPLAINING = [Route("POST", "/signals/explain", explain)]

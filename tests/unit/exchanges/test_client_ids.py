"""Client order ids: ours, deterministic, within every exchange's format."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.exchanges.client_ids import PATTERN, client_order_id


@given(st.text(), st.text(), st.one_of(st.text(), st.integers()))
def test_fits_every_exchange(signal, account, leg):
    """Whatever ids come in, what goes out is 1 to 32 letters and digits."""
    assert PATTERN.fullmatch(client_order_id(signal, account, leg))


def test_is_deterministic():
    """Every try at an order, by any process, carries the same id."""
    assert client_order_id("signal", "account", 1) == client_order_id("signal", "account", "1")


@given(st.lists(st.tuples(st.text("abc1"), st.text("abc1"), st.integers(0, 12)), unique=True))
def test_orders_do_not_share_one(parts):
    """Different signals, accounts and legs have different ids, also where their texts run into each other."""
    assert len(parts) == len({client_order_id(*each) for each in parts})

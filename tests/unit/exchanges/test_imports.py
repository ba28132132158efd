"""What importing this package costs."""

import subprocess
import sys


def test_ccxt_is_imported_when_an_exchange_is_opened():
    """Importing the registry does not import ccxt, which takes 1.5 s where it carries every exchange."""
    asked = "import sys; import chalicelib.exchanges.registry; sys.exit('ccxt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_a_trimmed_ccxt_will_do():
    """An artifact whose `ccxt/__init__` names nothing but its version opens the exchanges whose modules it
    carries.
    """
    asked = """
import importlib.util, sys, types
stub = types.ModuleType("ccxt")
stub.__path__ = list(importlib.util.find_spec("ccxt").submodule_search_locations)
sys.modules["ccxt"] = stub
from chalicelib.exchanges import registry
from chalicelib.exchanges.protocol import Credentials
from chalicelib.trading import MarketType
for name in ("binance", "bybit", "okx"):
    for market_type in MarketType:
        registry.open_exchange(name, market_type, Credentials("k", "s", "p"), {})
assert not any(name.startswith("ccxt.kraken") for name in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0

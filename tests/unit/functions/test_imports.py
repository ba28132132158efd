"""What a cold start of the functions need not pay for."""

import os
import subprocess
import sys

import yaml

from infra.stack import STACK_YAML

_TRADERS = {"functions.execute_orders", "functions.fetch_prices", "functions.refresh_markets"}


def test_ccxt_is_imported_by_no_function_but_those_that_call_exchanges() -> None:
    """Receiving signals imports no part of ccxt.

    TradingView waits 3 s, and ccxt alone takes one of them.
    """
    modules = {
        function["handler"].rpartition(".")[0]
        for function in yaml.safe_load(STACK_YAML.read_text())["functions"].values()
    }
    others = sorted(modules - _TRADERS)
    load = f"[importlib.import_module(name) for name in {others}]"
    asked = f"import importlib, sys; {load}; print([name for name in sys.modules if name.startswith('ccxt')])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert "functions.receive_signals" in others
    assert done.stdout.strip() == "[]"


def test_a_cold_start_does_not_look_for_garbage_and_the_process_does_from_then_on() -> None:
    """Imports make no garbage.

    The first collection after them skips their objects, and the usual collections follow.
    """
    environment = {**os.environ, "AWS_LAMBDA_FUNCTION_NAME": "cold", "AWS_DEFAULT_REGION": "eu-west-1"}
    code = """
import gc
usual = gc.get_threshold()
seen = lambda: sum(each["collections"] for each in gc.get_stats())
began = seen()
import functions.receive_signals
print(seen() - began)
held = [[] for _ in range(200_000)]
print(gc.get_freeze_count(), gc.get_threshold() == usual, len(gc.callbacks))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    looks, after = done.stdout.splitlines()
    frozen, restored, callbacks = after.split()

    assert int(looks) < 10  # against 180; those until the first line of ours has run
    assert int(frozen) > 100_000
    assert (restored, callbacks) == ("True", "0")

"""Behaviour at full load.

Webhooks keep their share, and refusals are answered so that the sender retries.
"""

import json
import re
from pathlib import Path

import pytest

from tests.infra import terraform
from tests.infra.conftest import OWNERS
from tests.infra.terraform import Plan


def _document(plan: Plan) -> str:
    [api] = plan.all("aws_api_gateway_rest_api").values()
    return str(api.values["body"])


def test_overload_is_answered_503(local_plan: Plan) -> None:
    """The gateway's own answers to overload and lateness are 503 with Retry-After.

    TradingView never retries 429 and 504.
    """
    answers = json.loads(_document(local_plan))["x-amazon-apigateway-gateway-responses"]
    for kind in ("THROTTLED", "QUOTA_EXCEEDED", "INTEGRATION_TIMEOUT", "INTEGRATION_FAILURE"):
        assert answers[kind]["statusCode"] == "503", kind
        assert answers[kind]["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'", kind
    assert {answer.get("statusCode") for answer in answers.values()} & {"429", "504"} == set()


def test_firewall_answers_503(example_plan: Plan) -> None:
    """So does the firewall's limit per address."""
    for acl in example_plan.all("aws_wafv2_web_acl").values():
        text = json.dumps(acl.values["rule"])
        assert '"response_code": 503' in text
        assert not re.search(r'"response_code": (429|504)', text)


def test_webhooks_have_a_throttle_each(example_plan: Plan) -> None:
    """Each method that takes webhooks has a throttle of its own, no lower than that of all other methods."""
    own = example_plan.all("aws_api_gateway_method_settings", "inbound")
    assert set(own) == {
        f"{method} {path}" for (method, path), function in OWNERS.items() if function == "receive_signals"
    }
    assert (
        own["POST /personal/{user_id}/webhook"].values["method_path"] == "~1personal~1{user_id}~1webhook/POST"
    )
    [others] = example_plan.all("aws_api_gateway_method_settings", "this").values()
    for each in own.values():
        assert (
            each.values["settings"][0]["throttling_rate_limit"]
            >= others.values["settings"][0]["throttling_rate_limit"]
        )
        assert (
            each.values["settings"][0]["throttling_burst_limit"]
            >= others.values["settings"][0]["throttling_burst_limit"]
        )


def test_no_metrics_that_nothing_uses(example_plan: Plan) -> None:
    """Detailed metrics, by method and route, cost more than a hobbyist's everything and have no alarm."""
    settings = [
        one
        for name in ("this", "inbound")
        for one in example_plan.all("aws_api_gateway_method_settings", name).values()
    ]
    assert not any(one.values["settings"][0]["metrics_enabled"] for one in settings)
    for stage in example_plan.all("aws_apigatewayv2_stage").values():
        assert not stage.values["default_route_settings"][0]["detailed_metrics_enabled"]


def _ceilings(plan: Plan) -> dict[str, int]:
    mappings = plan.all("aws_lambda_event_source_mapping", "queue")
    return {
        str(key): mapping.values["scaling_config"][0]["maximum_concurrency"]
        for key, mapping in mappings.items()
    }


def _at_quota(work: Path, release: Path, quota: int, *more: str) -> tuple[str, Plan | None]:
    done, plan = terraform.plan(work, release, "-var=stage=local", f"-var=lambda_quota={quota}", *more)
    return " ".join(re.sub(r"[│╷╵]", " ", done.stdout + done.stderr).split()), plan


def test_ceilings_are_shares_of_the_quota(tmp_path: Path, release: Path, local_plan: Plan) -> None:
    """With a tenth of the quota the consumers get a tenth each, two at least, and together leave a quarter to
    requests.
    """
    _, plan = _at_quota(tmp_path, release, 100)
    assert plan is not None
    small, large = _ceilings(plan), _ceilings(local_plan)
    assert small == {key: max(2, ceiling // 10) for key, ceiling in large.items()}
    assert sum(small.values()) <= 75


def test_a_quota_that_starves_webhooks_is_refused(tmp_path: Path, release: Path) -> None:
    """A new account's ten runs are too few, and the plan says so with the solution.

    A deployment for trials may continue.
    """
    said, plan = _at_quota(tmp_path / "refused", release, 10)
    assert plan is None
    assert "do not fit into a Lambda quota of 10" in said
    assert "Ask AWS for more" in said
    _, plan = _at_quota(tmp_path / "allowed", release, 10, "-var=allow_small_quota=true")
    assert plan is not None
    assert set(_ceilings(plan).values()) == {2}


def test_reserved_runs_count(tmp_path: Path, release: Path) -> None:
    """Reserved concurrency is subtracted from the same quota."""
    said, plan = _at_quota(tmp_path, release, 100, '-var=reserved_concurrency={"receive_signals":60}')
    assert plan is None
    assert "60 reserved ones do not fit" in said


def test_chains_through_a_functions_own_queue_may_be_long(local_plan: Plan) -> None:
    """Lambda does not stop the functions that send to the queue that starts them."""
    configs = local_plan.all("aws_lambda_function_recursion_config")
    assert {"deliver_webhooks", "push_realtime"} <= set(configs)
    assert set(configs) <= {
        "deliver_webhooks",
        "push_realtime",
        *(f"execute_orders-{name}" for name in ("paper", "binance", "bybit", "okx")),
    }
    assert {config.values["recursive_loop"] for config in configs.values()} == {"Allow"}


@pytest.mark.parametrize("function", ["execute_orders-paper"])
def test_what_calls_no_exchange_pays_no_gateway(example_plan: Plan, function: str) -> None:
    """A function that calls no exchange stays out of the VPC."""
    assert not example_plan.all("aws_lambda_function")[function].values["vpc_config"]

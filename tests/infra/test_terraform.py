"""Terraform accepts infra/terraform, and its plan is safe."""

import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from chalicelib import dashboard
from infra.stack import ROOT
from tests.infra import terraform
from tests.infra.conftest import EXAMPLES
from tests.infra.terraform import MODULE, Plan

SOURCES = sorted(MODULE.glob("*.tf"))
_VARIABLE = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_WAIVER = re.compile(r"#\s*checkov:skip=(\w+)(:?)(.*)")
# IAM's limits (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html), blanks not
# counted.
_INLINE_POLICIES_LIMIT = 10_240  # characters of all the inline policies of a role
_MANAGED_POLICY_LIMIT = 6_144
_POLICIES_OF_A_ROLE = 10


def test_format() -> None:
    """Every file is formatted as `terraform fmt` has it."""
    done = terraform.check_format()

    assert done.returncode == 0, done.stdout + done.stderr


def test_validate(tmp_path: Path) -> None:
    """The configuration is valid against the provider's schema."""
    done = terraform.validate(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_examples_plan(example_plan: Plan) -> None:
    """Each example of variables gives a plan, in which no check has failed."""
    failed = [
        check for check in example_plan.document.get("checks", []) if check["status"] in ("fail", "error")
    ]

    assert example_plan.resources
    assert not failed


def test_there_is_an_example_for_a_hobbyist_and_for_a_business() -> None:
    """Both ends of the range are shown."""
    assert {"hobbyist", "business"} <= set(EXAMPLES)


def test_bad_variables_are_refused(tmp_path: Path, release: Path) -> None:
    """A value that AWS would refuse halfway through an apply is refused before a plan, with a sentence."""
    bad = [
        "-var=stage=Not-A-Stage",
        "-var=region=tokyo",
        "-var=log_retention_days=31",
        "-var=api_domain=hooks.example.com",
    ]
    done, plan = terraform.plan(tmp_path, release, *bad)

    assert plan is None
    for sentence in (
        "2 to 16 small letters",
        "looks like ap-northeast-1",
        "retention that CloudWatch knows",
        "needs hosted_zone_id",
    ):
        assert sentence in " ".join((done.stdout + done.stderr).split())


def test_wrong_artifact_is_refused(tmp_path: Path, release: Path) -> None:
    """A zip that is not the one its manifest describes is not deployed."""
    tampered = tmp_path / "release"
    shutil.copytree(release, tampered)
    with (tampered / "tradehook.zip").open("ab") as archive:
        archive.write(b"tampered")
    done, plan = terraform.plan(tmp_path / "work", tampered, "-var=stage=local")

    assert plan is None
    assert "not the one its manifest describes" in " ".join((done.stdout + done.stderr).split())


def test_policies_fit(example_plan: Plan) -> None:
    """Each role's policies are shorter and fewer than IAM's limits, with room for an ARN not known yet."""
    inline: dict[str, int] = defaultdict(int)
    managed: dict[str, list[int]] = defaultdict(list)
    for resource in example_plan.role_policies:
        function = str(resource.key).partition("/")[0]
        size = len(resource.values.get("policy") or " " * 700)
        if resource.type == "aws_iam_policy":
            managed[function].append(size)
        else:
            inline[function] += size

    assert {function: size for function, size in inline.items() if size >= _INLINE_POLICIES_LIMIT} == {}
    assert {
        function: sizes for function, sizes in managed.items() if max(sizes) >= _MANAGED_POLICY_LIMIT
    } == {}
    assert {function: sizes for function, sizes in managed.items() if len(sizes) > _POLICIES_OF_A_ROLE} == {}


def test_wildcards_are_known(example_plan: Plan) -> None:
    """A policy names its resources.

    A wildcard appears only where AWS leaves no other way, and those places are listed here.
    """
    known = {
        "logs": r":log-group:/aws/lambda/[\w-]+:log-stream:\*$",  # Lambda names its log streams itself
        "traces": r"^\*$",  # X-Ray's actions know no resources
        # Lambda asks for its network permissions on everything, and an explicit denial keeps the code from
        # them
        "network": r"^\*$",
        "stream_trigger": r":table/[\w-]+/stream/\*$",  # a stream is named by the time it was switched on
    }
    wild = [
        (resource.address, arn)
        for resource in example_plan.role_policies
        if resource.values.get("policy")
        for statement in json.loads(resource.values["policy"])["Statement"]
        for arn in statement["Resource"]
        if "*" in arn and not re.search(known.get(resource.name, r"(?!)"), arn)
    ]

    assert wild == []


def test_wildcards_have_a_written_reason() -> None:
    """A `*` in a resource has a comment with the reason at most three lines away."""
    bare = []
    for source in SOURCES:
        lines = source.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.search(r"Resource\s*=.*\*|^\s*source_arn = .*\*", line) and not any(
                "#" in near for near in lines[max(0, number - 3) : number + 1]
            ):
                bare.append(f"{source.name}:{number + 1}")

    assert bare == []


def test_no_action_is_a_wildcard(example_plan: Plan) -> None:
    """A role's actions are spelled out."""
    actions = {
        action
        for resource in example_plan.role_policies
        if resource.values.get("policy")
        for statement in json.loads(resource.values["policy"])["Statement"]
        for action in statement["Action"]
    }

    assert [action for action in actions if "*" in action] == []


def test_tables_are_kept(example_plan: Plan) -> None:
    """In the examples no table can be deleted by accident, and each can be restored to any second."""
    for table in example_plan.all("aws_dynamodb_table").values():
        assert table.values["deletion_protection_enabled"], table.address
        assert table.values["point_in_time_recovery"][0]["enabled"], table.address


def test_dashboard_has_one_content_policy(example_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFront allows the dashboard what the function that serves it elsewhere allows, and no inline style
    or script.
    """
    policies = [
        content["content_security_policy"]
        for policy in example_plan.all("aws_cloudfront_response_headers_policy").values()
        for settings in policy.values["security_headers_config"]
        for content in settings["content_security_policy"]
        if "content_security_policy" in content  # without a domain it is known after the API has been made
    ]
    domains = [
        domain.values["domain_name"] for domain in example_plan.all("aws_apigatewayv2_domain_name").values()
    ]
    monkeypatch.setenv("TRADEHOOK_WS_URL", f"wss://{domains[0]}/ws" if domains else "")
    dashboard._policy.cache_clear()

    assert policies == ([dashboard._policy()] if domains else [])
    dashboard._policy.cache_clear()


def test_queues_and_topics_are_encrypted_and_ask_for_tls(example_plan: Plan) -> None:
    """Every queue is encrypted at rest and refuses callers without TLS.

    Topics too, but the alarms', which hold nothing secret.
    """
    queues = [resource for resource in example_plan.resources if resource.type == "aws_sqs_queue"]
    policies = [resource for resource in example_plan.resources if resource.type == "aws_sqs_queue_policy"]

    assert all(queue.values["sqs_managed_sse_enabled"] for queue in queues)
    assert len(queues) == len(policies)
    assert all("aws:SecureTransport" in policy.values["policy"] for policy in policies)
    assert all(
        topic.values["kms_master_key_id"] for topic in example_plan.all("aws_sns_topic", "this").values()
    )


def test_functions_run_on_what_the_release_was_built_for(example_plan: Plan) -> None:
    """Processor and Python are the manifest's: bytecode and binaries of another would not start."""
    for function in example_plan.all("aws_lambda_function").values():
        assert function.values["architectures"] == ["arm64"]
        assert function.values["runtime"] == "python3.13"


def test_each_function_has_a_role_and_a_log_of_its_own(example_plan: Plan) -> None:
    """No two functions share a role, and no log is kept for ever."""
    functions = set(example_plan.all("aws_lambda_function"))

    assert functions == set(example_plan.all("aws_iam_role", "function"))
    assert functions == set(example_plan.all("aws_cloudwatch_log_group", "function"))
    assert all(
        resource.values["retention_in_days"]
        for resource in example_plan.resources
        if resource.type == "aws_cloudwatch_log_group"
    )


def test_alarms_reach_somebody(example_plan: Plan) -> None:
    """Every alarm has an action, and every one says which section of the runbook is about it."""
    alarms = [
        resource for resource in example_plan.resources if resource.type == "aws_cloudwatch_metric_alarm"
    ]
    headings = set(re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE))

    assert alarms
    for alarm in alarms:
        about = re.search(r"docs/runbook\.md, (\w+)\.$", alarm.values["alarm_description"])
        assert about, alarm.address
        assert about[1] in headings, alarm.address
        assert any(known_or_not.get("alarm_actions") for known_or_not in (alarm.values, alarm.unknown)), (
            alarm.address
        )


def test_metrics_have_a_runbook() -> None:
    """Each metric with an alarm has its section, whichever level of alarms a deployment chooses."""
    metrics = yaml.safe_load((MODULE / "metrics.yaml").read_text())
    headings = set(re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE))

    assert {name for name, metric in metrics.items() if "alarm" in metric} <= headings


def test_metrics_are_written() -> None:
    """Every metric that Terraform watches or shows is one that the code writes."""
    metrics = yaml.safe_load((MODULE / "metrics.yaml").read_text())
    code = "\n".join(
        path.read_text() for package in ("chalicelib", "functions") for path in (ROOT / package).rglob("*.py")
    )
    if "aws_lambda_powertools.metrics" not in code and "import Metrics" not in code:
        pytest.skip("no function writes metrics, so the alarms on them stay silent")

    assert {name for name in metrics if not re.search(rf"\b{name}\b", code)} == set()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_resources_come_from_the_stack_file(source: Path) -> None:
    """No function, queue or table is named in Terraform: only stack.yaml adds one."""
    stack = yaml.safe_load((ROOT / "infra" / "stack.yaml").read_text())
    names = {name for section in ("functions", "queues", "tables", "exchanges") for name in stack[section]}
    code = "\n".join(
        re.sub(r"(^|\s)#.*", "", line)
        for line in source.read_text().splitlines()
        if "description" not in line
    )
    literals = set(re.findall(r'"([\w-]+)"', code))

    # Two tables are called as things that Terraform has names for too.
    assert literals & names - {"accounts", "events"} == set()


def test_variables_are_described() -> None:
    """Every variable has a description and a type."""
    variables = _VARIABLE.findall((MODULE / "variables.tf").read_text())

    assert variables
    assert [
        name
        for name, body in variables
        if not re.search(r'description = "[A-Za-z].{10,}', body) or "type " not in body
    ] == []


def test_waivers_are_explained() -> None:
    """Every waiver of a check says why in words."""
    waivers = [(source.name, *match) for source in SOURCES for match in _WAIVER.findall(source.read_text())]

    assert waivers
    assert [waiver for waiver in waivers if len(waiver[3].split()) < 5] == []


def test_checkov() -> None:
    """checkov finds only what is waived with a reason."""
    checkov = shutil.which(os.environ.get("TRADEHOOK_CHECKOV", "checkov")) or pytest.skip(
        "no checkov: install it, or name it in TRADEHOOK_CHECKOV"
    )
    done = subprocess.run(
        [
            checkov,
            "--directory",
            str(MODULE),
            "--framework",
            "terraform",
            "--compact",
            "--quiet",
            "--output",
            "json",
            "--skip-download",
        ],
        text=True,
        capture_output=True,
        check=False,
    )
    report = json.loads(done.stdout)

    assert report["summary"]["passed"] > 0
    assert [(check["check_id"], check["resource"]) for check in report["results"]["failed_checks"]] == []


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        (
            'secret_settings={"notify_telegram":{"TELEGRAM_TOKEN":"1:x"}}',
            "what no function reads: TELEGRAM_TOKEN",
        ),
        ('settings={"DEFAULT_USER":"1"}', "what no function reads: DEFAULT_USER"),
        ('settings={"TELEGRAM_BOT_TOKEN":"1:x"}', "belongs into secret_parameters or secret_settings"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(
    tmp_path: Path, release: Path, variable: str, said: str
) -> None:
    """A misspelt setting stops the plan with its name. The functions would silently ignore it."""
    done, plan = terraform.plan(tmp_path, release, "-var=stage=local", f"-var={variable}")

    assert plan is None
    assert said in " ".join(re.sub(r"[│╷╵]", " ", done.stdout + done.stderr).split())


def test_buckets_ask_for_tls(example_plan: Plan) -> None:
    """Every bucket of files refuses callers without TLS, as queues and topics do."""
    buckets = [resource for resource in example_plan.resources if resource.type == "aws_s3_bucket"]
    policies = [resource for resource in example_plan.resources if resource.type == "aws_s3_bucket_policy"]

    assert {bucket.name for bucket in buckets} == {policy.name for policy in policies}
    assert all(
        source.read_text().count("aws:SecureTransport")
        for source in (MODULE / "functions.tf", MODULE / "web.tf")
    )


def test_indexes_that_throttle_first_have_an_alarm(local_plan: Plan) -> None:
    """A sparse index whose items come and go has few values and many writes.

    Its throttling does not show in its table's metrics.
    """
    stack = yaml.safe_load((ROOT / "infra" / "stack.yaml").read_text())
    busy = {
        (table, index)
        for table, text in stack["tables"].items()
        for index, keys in text.get("indexes", {}).items()
        if keys.get("busy")
    }

    assert {
        ("signals", "unqueued"),
        ("outbox", "unpublished"),
        ("deliveries", "due"),
        ("in_flight_orders", "due"),
    } <= busy
    assert "GlobalSecondaryIndexName" in (MODULE / "alarms.tf").read_text()


def test_debug_reaches_the_log(tmp_path: Path, release: Path) -> None:
    """Lambda's own filter does not drop lines at `log_level = DEBUG`."""
    _, plan = terraform.plan(
        tmp_path,
        release,
        "-var=stage=local",
        "-var=lambda_quota=1000",
        "-var=log_level=DEBUG",
        "-var=alarms=full",
    )

    assert plan is not None
    levels = {
        function.values["logging_config"][0]["application_log_level"]
        for function in plan.all("aws_lambda_function").values()
    }
    assert levels == {"DEBUG"}
    alarms = set(plan.all("aws_cloudwatch_metric_alarm", "this"))
    assert {
        "IndexThrottles-outbox-unpublished",
        "ExchangeFaults-binance",
        "ApiRefusals",
        "SchedulerFailures",
        "EventsDropped-sweep",
    } <= alarms


def test_secrets_by_name(tmp_path: Path, release: Path) -> None:
    """A secret's function gets the parameter's name and may read that one parameter.

    No other function gets either.
    """
    given = '{"notify_telegram":{"TELEGRAM_BOT_TOKEN":"/tradehook/home/telegram-bot-token"}}'
    _, plan = terraform.plan(
        tmp_path, release, "-var=stage=local", "-var=lambda_quota=1000", f"-var=secret_parameters={given}"
    )

    assert plan is not None
    policies = plan.all("aws_iam_role_policy", "secrets")
    assert set(policies) == {"notify_telegram"}
    [statement] = json.loads(policies["notify_telegram"].values["policy"])["Statement"]
    assert statement["Action"] == ["ssm:GetParameter"]
    assert [arn.rpartition(":")[2] for arn in statement["Resource"]] == [
        "parameter/tradehook/home/telegram-bot-token"
    ]

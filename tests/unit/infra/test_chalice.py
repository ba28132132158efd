"""Chalice's own tools work on the root app: its test client, its local server's gateway, its packager."""

import json
import subprocess
import sys
from pathlib import Path

from chalice.cli.factory import CLIFactory
from chalice.test import Client

import app as root
from infra import stack
from infra.build import chalice_config, code
from infra.stack import ROOT


def test_http_functions_are_those_of_the_stack():
    """`app.py` names the functions that `stack.yaml` marks `http.

    True`, since it cannot read that file where Chalice packs it.
    """
    assert sorted(root.HTTP_FUNCTIONS) == sorted(function.name for function in stack.load().http_functions)


def test_root_app_serves():
    """Through Chalice's client, which is `chalice local`'s gateway, the root app answers.

    Pages, files, refusals.
    """
    with Client(root.app, stage_name="local", project_dir=str(ROOT)) as client:
        health = client.http.get("/health")
        page = client.http.get("/dashboard/vendor/uplot.css")
        unknown = client.http.get("/no/such/path")
        denied = [client.http.get("/orders"), client.http.post("/payments", body=b"{}")]
    assert (health.status_code, json.loads(health.body)) == (200, {"status": "ok"})
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/css")
    assert unknown.status_code in {403, 404}
    assert [(each.status_code, json.loads(each.body)["code"]) for each in denied] == [
        (401, "token_missing")
    ] * 2


def test_stages():
    """Chalice reads both stages.

    The longest time and most memory of the functions in them, and a written policy.
    """
    described = stack.load()
    http = described.http_functions
    for name in ("local", "prod"):
        config = CLIFactory(str(ROOT)).create_config_obj(chalice_stage_name=name)
        assert config.lambda_timeout == max(function.definition.timeout_s for function in http)
        assert config.lambda_memory_size == max(function.definition.memory_mb for function in http)
        assert not config.autogen_policy
        assert config.environment_variables["TRADEHOOK_STAGE"] == name
    wanted = {resource.variable for function in http for resource in function.resources}
    local = CLIFactory(str(ROOT)).create_config_obj(chalice_stage_name="local").environment_variables
    assert wanted <= local.keys()
    assert local["TABLE_SIGNALS"] == "tradehook-local-signals"
    assert local["QUEUE_TELEGRAM"].endswith("/tradehook-local-telegram.fifo")


def test_files_are_current():
    """`.chalice/` is what `stack.yaml` comes to.

    After a change there run `python -m infra.build.chalice_config`.
    """
    for name, text in chalice_config.files(stack.load()).items():
        assert (ROOT / ".chalice" / name).read_text() == text, name


def test_policy_is_the_grants():
    """What `chalice package` allows its function is what the HTTP functions are granted, and no action is a
    star.
    """
    described = stack.load()
    actions = {
        action
        for statement in chalice_config.policy(described)["Statement"]
        for action in statement["Action"]
    }
    granted = {
        action
        for function in described.http_functions
        for statement in described.statements(function)
        for action in statement.actions
    }
    assert actions - granted == {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}
    assert granted <= actions


def test_packaged_app_imports(tmp_path: Path):
    """What Chalice packs of ours imports by itself, without the repository around it."""
    code.unpack(tmp_path / "package")
    asked = "import sys, app; print(len(app.OWNERS)); sys.exit('infra' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=tmp_path / "package",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode"),
        },
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(len(root.OWNERS))), done.stderr

"""The emulated cloud as a process.

Ministack, in its own venv, bound to loopback. Its state survives restarts.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

from infra import stack
from infra.local import priority, process, state_store
from infra.local.paths import HOST, REGION, STAGE, LocalStackPaths
from infra.stack import ROOT

# Lambda workers import from the cloud's interpreter. They must find only the artifact's own dependencies, so
# this interpreter has just ministack and, as in Lambda, boto3.
_VENV = ROOT / ".local" / "cloud-venv"
_PACKAGES = ("ministack", "boto3")
_EMULATOR = ROOT / "infra" / "local" / "emulator.py"
_MODULES = ("loopback_guard.py", "state_store.py", "durable_state.py")  # imported by the emulator


def start(place: LocalStackPaths) -> None:
    """Starts the cloud and waits until it answers. No-op if it is running.

    A cloud that runs elsewhere only has to answer.

    Raises:
        ProcessError: Its port is taken, or it does not start.
    """
    if place.elsewhere:
        if not running(place):
            raise process.ProcessError(
                f"no cloud answers at {place.elsewhere}, where CLOUD says there is one"
            )
        return
    port = place.directory / "cloud.port"
    if process.running(_pid(place)):
        if port.exists() and port.read_text() == str(place.cloud_port):
            _wait(place)
            return
        stop(place)
    _must_be_free(place.cloud_port)
    python = interpreter()
    shutil.rmtree(place.scratch, ignore_errors=True)  # a killed cloud leaves its workers' directories behind
    place.scratch.mkdir(parents=True)
    place.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    _forget_stream_positions(place.state / "lambda.json")
    if port.exists():
        _move_saved_state(place.state, port.read_text(), str(place.cloud_port))
    port.write_text(str(place.cloud_port))
    process.start(
        [str(python), "-P", str(_EMULATOR)],
        _pid(place),
        place.log("cloud"),
        _environment(place, python),
        place.scratch,
    )
    _wait(place)


def stop(place: LocalStackPaths) -> bool:
    """Stops the cloud, which folds its write-ahead log into its file first.

    Returns False if it was not running, or if it runs elsewhere.
    """
    if place.elsewhere:
        return False
    stopped = process.stop(_pid(place))
    shutil.rmtree(place.scratch, ignore_errors=True)
    return stopped


def running(place: LocalStackPaths) -> bool:
    """Returns whether the cloud is running."""
    if place.elsewhere:
        return _answers(f"{place.elsewhere}/_ministack/ready") or has_no_websockets(place)
    return process.running(_pid(place)) is not None


def notices(place: LocalStackPaths) -> list[str]:
    """Returns what the running cloud found when it opened its state. Empty for a first start."""
    with suppress(FileNotFoundError):
        lines = place.log("cloud").read_text(errors="replace").splitlines()
        return [line.removeprefix(state_store.MARK) for line in lines if line.startswith(state_store.MARK)]
    return []


def has_no_websockets(place: LocalStackPaths) -> bool:
    """Returns whether the cloud is a LocalStack.

    Its free edition has no WebSocket APIs, and its functions have their own endpoint.
    """
    return (
        place.elsewhere is not None
        and _answers(f"{place.elsewhere}/_localstack/health")
        and not _answers(f"{place.elsewhere}/_ministack/ready")
    )


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == HTTPStatus.OK)
    return False


def forget(place: LocalStackPaths) -> None:
    """Deletes the saved state."""
    shutil.rmtree(place.state, ignore_errors=True)


def interpreter() -> Path:
    """Returns the cloud's own interpreter. Installs it if it is missing or outdated."""
    _VENV.parent.mkdir(exist_ok=True)
    with _VENV.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks of one checkout may install it at once
        python = _interpreter()
        site_packages = (
            _VENV / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        )
        shutil.copy(priority.__file__, site_packages / "sitecustomize.py")
        for module in _MODULES:
            shutil.copy(_EMULATOR.with_name(module), site_packages)
        return python


def _interpreter() -> Path:
    python = _VENV / "bin" / "python"
    wanted = [f"{name}=={version(name)}" for name in _PACKAGES]
    stamp = _VENV / "made-from"
    made_from = "\n".join([sys.version, *wanted])
    if stamp.exists() and stamp.read_text() == made_from:
        return python
    shutil.rmtree(_VENV, ignore_errors=True)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    steps = [
        [sys.executable, "-m", "venv", str(_VENV)],
        [str(python), "-m", "pip", "install", "--quiet", *wanted],
    ]
    if uv:
        steps = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(_VENV)],
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *wanted],
        ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            raise process.ProcessError(
                f"the cloud's venv could not be created: {' '.join(step)}\n{done.stdout}{done.stderr}"
            )
    stamp.write_text(made_from)
    return python


def _environment(place: LocalStackPaths, python: Path) -> dict[str, str]:
    return {
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(place.scratch),
        "TMPDIR": str(place.scratch),
        "LANG": "C.UTF-8",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": place.root_key,
        "AWS_SECRET_ACCESS_KEY": place.root_key,
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(place.cloud_port),
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(place.state),
        "S3_DATA_DIR": str(place.scratch / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "AWS_ENDPOINT_URL": place.cloud_url,
        "PYTHONUNBUFFERED": "1",
        "LAMBDA_WARM_TTL_SECONDS": "3600",  # a developer's pause is longer than the usual five minutes
        state_store.SWITCH: os.environ.get(state_store.SWITCH, "1"),
        priority.VARIABLE: " ".join(_nobody_waits_for(stack.load(place.stack_yaml))),
    }


def _nobody_waits_for(description: stack.Stack) -> list[str]:
    return [
        description.full_name(STAGE, name)
        for name, function in description.functions.items()
        if not function.definition.http
    ]


def _pid(place: LocalStackPaths) -> Path:
    return place.directory / "cloud.pid"


def _must_be_free(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise process.ProcessError(
                f"port {port}, for the local cloud, is taken: choose another PORT (the cloud's follows it)"
            )


def _forget_stream_positions(saved: Path) -> None:
    """Removes saved stream positions: they outlive the stream's records and then hide every new record."""
    if saved.exists():
        content = json.loads(saved.read_text())
        content.get("payload", content).pop("dynamodb_stream_positions", None)
        saved.write_text(json.dumps(content))


def _move_saved_state(state: Path, old_port: str, new_port: str) -> None:
    """Updates saved queue URLs: they hold the port, and a queue is looked up by its URL."""
    if old_port == new_port:
        return
    for saved in state.glob("*.json"):
        saved.write_text(saved.read_text().replace(f"{HOST}:{old_port}", f"{HOST}:{new_port}"))


def _wait(place: LocalStackPaths, within_s: float = 30) -> None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with (
            suppress(OSError),
            urllib.request.urlopen(f"{place.cloud_url}/_ministack/ready", timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        if not process.running(_pid(place)):
            log = place.log("cloud")
            raise process.ProcessError(
                f"the local cloud ended at once; {log} ends with:\n{process.tail(log)}"
            )
        time.sleep(0.03)
    raise process.ProcessError(
        f"the local cloud does not answer on {place.cloud_url}; see {place.log('cloud')}"
    )

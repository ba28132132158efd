"""Where a local stack lives: its directory, its ports, its URLs.

Two stacks with different directories and ports do not meet.
"""

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.stack import ROOT

STAGE = "local"
REGION = "us-east-1"
ACCOUNT = "000000000000"
API_STAGE = "v1"
HOST = "127.0.0.1"

# What the developer's environment may tell the functions, and what they are told otherwise.
ENVIRONMENT = {
    "TRADEHOOK_EXCHANGE_ENDPOINT": "",
    "TRADEHOOK_EXCHANGE_SHARES": "",
    "TRADEHOOK_LIVE_PRICES": "",
    "TRADEHOOK_PRICE_INTERVAL_S": "10",
    "TRADEHOOK_DEFAULT_USER_ID": "1",
    # Any token and secret will do for the stand-in of the Bot API.
    "TRADEHOOK_TELEGRAM_BOT_TOKEN": "local:stand-in",
    "TRADEHOOK_TELEGRAM_WEBHOOK_SECRET": "local-telegram-secret",
    "TRADEHOOK_TELEGRAM_BOT_NAME": "tradehook_local_bot",
    # Receivers of webhooks run on this machine too, without certificates.
    "TRADEHOOK_WEBHOOK_ALLOW_HTTP": "true",
    "TRADEHOOK_WEBHOOK_ALLOW_LOOPBACK": "true",
}

_CLOUD_PORT_DISTANCE = 10_000
_TELEGRAM_PORT_DISTANCE = 11_000


@dataclass(frozen=True)
class LocalStackPaths:
    """One local stack.

    Attributes:
        directory: Where it keeps its state, logs and `stack.env`.
        port: The front door's.
        environment: Settings for the functions.
        stack_yaml: The description it is deployed from.
        elsewhere: The URL of a cloud that somebody else runs, as `localstack-compose.yml` does; None has one
            started here.
    """

    directory: Path
    port: int
    environment: Mapping[str, str]
    stack_yaml: Path
    elsewhere: str | None = None

    @classmethod
    def here(cls, environ: Mapping[str, str] = os.environ) -> "LocalStackPaths":
        """The stack that the environment speaks of.

        `TRADEHOOK_LOCAL_DIR`, `PORT`, `TRADEHOOK_STACK_YAML`, `CLOUD`.
        """
        port = int(environ.get("PORT") or 8080)
        settings = ENVIRONMENT | {
            "TRADEHOOK_TELEGRAM_API": f"http://{HOST}:{_away(port, _TELEGRAM_PORT_DISTANCE)}"
        }
        return cls(
            directory=Path(environ.get("TRADEHOOK_LOCAL_DIR") or ROOT / ".local").resolve(),
            port=port,
            environment={name: environ.get(name) or default for name, default in settings.items()},
            stack_yaml=Path(environ.get("TRADEHOOK_STACK_YAML") or ROOT / "infra" / "stack.yaml").resolve(),
            elsewhere=(environ.get("CLOUD") or "").rstrip("/") or None,
        )

    @property
    def environ(self) -> dict[str, str]:
        """The environment in which a process finds this same place."""
        return {
            **os.environ,
            **self.environment,
            "TRADEHOOK_LOCAL_DIR": str(self.directory),
            "TRADEHOOK_STACK_YAML": str(self.stack_yaml),
            "PORT": str(self.port),
            "CLOUD": self.elsewhere or "",
        }

    @property
    def cloud_port(self) -> int:
        """The cloud's port.

        Far enough away that front doors next to each other do not get in each other's way.
        """
        return _away(self.port, _CLOUD_PORT_DISTANCE)

    @property
    def telegram_port(self) -> int | None:
        """Where the stand-in of the Bot API listens; None if the functions are to talk to another one."""
        port = _away(self.port, _TELEGRAM_PORT_DISTANCE)
        return port if self.environment.get("TRADEHOOK_TELEGRAM_API") == f"http://{HOST}:{port}" else None

    @property
    def cloud_url(self) -> str:
        """Where the AWS APIs are."""
        return self.elsewhere or f"http://{HOST}:{self.cloud_port}"

    @property
    def url(self) -> str:
        """The front door."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The front door's WebSocket."""
        return f"ws://{HOST}:{self.port}/ws"

    @property
    def root_key(self) -> str:
        """The key of the cloud's root, made for this stack: a call signed with it may do anything.

        LocalStack has one for everybody.
        """
        if self.elsewhere:
            return "test"
        file = self.directory / "root.key"
        if not file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            with (
                suppress(FileExistsError),
                open(file, "x", opener=_private) as made,
            ):  # another process may be faster
                made.write(f"ROOT{secrets.token_hex(16).upper()}")
        return file.read_text()

    @property
    def state(self) -> Path:
        """The cloud's saved state."""
        return self.directory / "state"

    @property
    def stack_env(self) -> Path:
        """URLs and demo credentials, as a file of shell variables."""
        return self.directory / "stack.env"

    @property
    def front_door(self) -> Path:
        """What the front door must know: routes, and where to send them."""
        return self.directory / "front_door.json"

    @property
    def scratch(self) -> Path:
        """Where the workers unpack their code.

        In memory if the machine has a place for it, since every cold start does it.
        """
        memory = Path("/dev/shm")
        if memory.is_dir() and os.access(memory, os.W_OK):
            return (
                memory
                / f"tradehook-{os.getuid()}-{hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]}"
            )
        return self.directory / "scratch"

    def log(self, process: str) -> Path:
        """A process's log."""
        return self.directory / f"{process}.log"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _away(port: int, distance: int) -> int:
    """A port so far from another one, up or, where there is no more room, down."""
    return port + distance if port < 50_000 else port - distance

"""A local stack's directory, ports and URLs.

Two stacks with different directories and ports do not interfere.
"""

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.local.public_address import PublicAddress
from infra.stack import ROOT

STAGE = "local"
REGION = "us-east-1"
ACCOUNT = "000000000000"
API_STAGE = "v1"
HOST = "127.0.0.1"

# Settings for the functions that the developer's environment may override, with their defaults.
ENVIRONMENT = {
    "TRADEHOOK_EXCHANGE_ENDPOINT": "",
    "TRADEHOOK_EXCHANGE_SHARES": "",
    "TRADEHOOK_LIVE_PRICES": "",
    "TRADEHOOK_PRICE_INTERVAL_S": "10",
    "TRADEHOOK_DEFAULT_USER_ID": "1",
    # The demo users permit signals without a token. They are for this machine alone.
    "TRADEHOOK_TOKENLESS": "loopback",
    # The stand-in of the Bot API takes any token and secret.
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
        directory: The directory of its state, logs and `stack.env`.
        port: The front door's port.
        environment: Settings for the functions.
        stack_yaml: The description that is deployed.
        elsewhere: The URL of a running cloud, as `localstack-compose.yml` starts one. None starts one here.
        public: The address behind a tunnel or proxy. None if `up` has opened none.
    """

    directory: Path
    port: int
    environment: Mapping[str, str]
    stack_yaml: Path
    elsewhere: str | None = None
    public: PublicAddress | None = None

    @classmethod
    def here(cls, environ: Mapping[str, str] = os.environ) -> "LocalStackPaths":
        """Returns the stack that the environment selects.

        The variables are `TRADEHOOK_LOCAL_DIR`, `PORT`, `TRADEHOOK_STACK_YAML` and `CLOUD`.
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
        """Returns the environment that selects this stack."""
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
        """Returns the cloud's port.

        It is far from the front door's port, so that neighbouring front doors do not collide.
        """
        return _away(self.port, _CLOUD_PORT_DISTANCE)

    @property
    def telegram_port(self) -> int | None:
        """Returns the port of the Bot API's stand-in. None if the functions use another one."""
        port = _away(self.port, _TELEGRAM_PORT_DISTANCE)
        return port if self.environment.get("TRADEHOOK_TELEGRAM_API") == f"http://{HOST}:{port}" else None

    @property
    def cloud_url(self) -> str:
        """Returns the URL of the AWS APIs."""
        return self.elsewhere or f"http://{HOST}:{self.cloud_port}"

    @property
    def url(self) -> str:
        """Returns the front door's URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Returns the front door's WebSocket URL."""
        return f"ws://{HOST}:{self.port}/ws"

    @property
    def shown_url(self) -> str:
        """Returns the URL that others get: in alert messages, connection strings and answers."""
        return self.public.url if self.public else self.url

    @property
    def shown_ws_url(self) -> str:
        """Returns the WebSocket URL that others get."""
        return self.public.ws_url if self.public else self.ws_url

    @property
    def public_address(self) -> Path:
        """Returns the path of the public address, which exists while the stack has one."""
        return self.directory / "public.json"

    @property
    def root_key(self) -> str:
        """Returns the key of the cloud's root, made for this stack. A call signed with it may do anything.

        LocalStack has one key for all stacks.
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
        """Returns the path of the cloud's saved state."""
        return self.directory / "state"

    @property
    def stack_env(self) -> Path:
        """Returns the path of the shell variables with URLs and demo credentials."""
        return self.directory / "stack.env"

    @property
    def front_door(self) -> Path:
        """Returns the path of the front door's file: routes and their targets."""
        return self.directory / "front_door.json"

    @property
    def scratch(self) -> Path:
        """Returns the directory where the workers unpack their code.

        In memory if possible, because every cold start unpacks.
        """
        memory = Path("/dev/shm")
        if memory.is_dir() and os.access(memory, os.W_OK):
            return (
                memory
                / f"tradehook-{os.getuid()}-{hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]}"
            )
        return self.directory / "scratch"

    def log(self, process: str) -> Path:
        """Returns the path of a process's log."""
        return self.directory / f"{process}.log"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _away(port: int, distance: int) -> int:
    """Returns a port at that distance from another: above it, or below if there is no room above."""
    return port + distance if port < 50_000 else port - distance

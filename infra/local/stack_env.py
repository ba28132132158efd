"""`stack.env`: the URLs and demo credentials of a running stack, as shell variables."""

from infra.local.paths import LocalStackPaths


def write_stack_env(place: LocalStackPaths, values: dict[str, str]) -> None:
    """Writes `stack.env`, readable by this user only."""
    values = {"TRADEHOOK_URL": place.url, "TRADEHOOK_WS_URL": place.ws_url, **place.environment, **values}
    values["TRADEHOOK_TELEGRAM_URL"] = place.environment["TRADEHOOK_TELEGRAM_API"]
    content = "".join(f"{name}={_quoted(value)}\n" for name, value in values.items() if value)
    unfinished = place.stack_env.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(content)
    unfinished.replace(place.stack_env)


def read_stack_env(place: LocalStackPaths) -> dict[str, str]:
    """Returns the variables of `stack.env`."""
    pairs = (
        line.partition("=")
        for line in place.stack_env.read_text().splitlines()
        if line and not line.startswith("#")
    )
    return {
        name: value[1:-1].replace("'\\''", "'") if value[:1] == "'" else value for name, _, value in pairs
    }


def _quoted(value: str) -> str:
    """Returns the value as the shell reads it."""
    return value if value.replace("_", "").isalnum() else "'" + value.replace("'", "'\\''") + "'"

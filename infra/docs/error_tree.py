"""The error codes as a tree by status, made from `docs/errors.md`, so that it cannot go stale."""

import re
from collections import defaultdict

_ROW = re.compile(r"^\| `(\w+)` \| ([\d, ]+) \| (.+) \|$")
_REACTIONS = {
    "200": "No error. The signal was understood.",
    "400": "The message or the request is wrong. Change it, then send it again.",
    "401": "The token is missing or wrong. Nothing was traded.",
    "403": "The sender is known, and may not do this now.",
    "404": "What the message or the URL names does not exist.",
    "405": "The path does not take this method. Use one that `Allow` names.",
    "409": "It contradicts what is stored. Read the record again.",
    "413": "The body is too large. Shorten it.",
    "422": "The message is right, and cannot be carried out. Nothing opens.",
    "429": "Too many requests. Wait for `Retry-After` seconds.",
    "500": "A fault on this side. The same request may be sent again.",
}


def error_tree(errors: str) -> str:
    """Returns the codes of `docs/errors.md` by status and by section, as Markdown.

    Raises:
        KeyError: A status has no reaction here.
    """
    tree: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in errors.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif row := _ROW.match(line):
            code, statuses, meaning = row.groups()
            if not code.startswith("hint_"):
                for status in statuses.split(", "):
                    tree[status][section].append(f"        - `{code}`: {meaning}")
    lines = []
    for status in sorted(tree):
        lines += [f"### {status}", "", _REACTIONS[status], ""]
        for name, rows in tree[status].items():
            lines += [f"- **{name}**", "", *(row[4:] for row in rows), ""]
    return "\n".join(lines)

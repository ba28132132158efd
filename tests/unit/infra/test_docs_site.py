"""The documentation site: what its hooks make of the repository's pages, and the code that readers copy."""

import base64
import hashlib
import hmac
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from chalicelib.webhooks.delivery.sign import standard
from infra.docs.error_tree import error_tree
from infra.docs.hooks import on_post_build, site_text
from infra.stack import ROOT

PAGE = ROOT / "docs" / "tutorials" / "receiving-a-webhook.md"
BODY = '{"order_id": "1", "symbol": "BTCUSDT", "note": "策略"}'
ENCODED = "whsec_" + base64.b64encode(b"k" * 32).decode()
SECRETS = {"whsec": (ENCODED, b"k" * 32), "plain": ("a plain secret", b"a plain secret")}
# Each program reads {"secret", "headers", "body"} from its input and prints true or false.
RUNNERS = {
    "python": (
        ["python3", "{file}"],
        "program.py",
        """
import json, sys
given = json.load(sys.stdin)
print(str(verify(given["secret"], given["headers"], given["body"].encode())).lower())
""",
    ),
    "javascript": (
        ["node", "{file}"],
        "program.mjs",
        """
import { readFileSync } from "node:fs";
const given = JSON.parse(readFileSync(0));
console.log(verify(given.secret, given.headers, Buffer.from(given.body)));
""",
    ),
    "go": (
        ["go", "run", "{file}"],
        "program.go",
        """
func main() {
	var given struct {
		Secret, Body string
		Headers      map[string]string
	}
	json.NewDecoder(os.Stdin).Decode(&given)
	fmt.Println(verify(given.Secret, given.Headers, []byte(given.Body)))
}
""",
    ),
    "php": (
        ["php", "{file}"],
        "program.php",
        """
$given = json_decode(stream_get_contents(STDIN), true);
echo verify($given["secret"], $given["headers"], $given["body"]) ? "true" : "false";
""",
    ),
}


def _run(language: str, folder: Path, given: dict[str, Any]) -> bool:
    """Runs the page's function on a delivery. Skips where the machine lacks the language."""
    command, name, rest = RUNNERS[language]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    [code] = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    if language == "go":
        code = code.replace("import (", 'import (\n\t"encoding/json"\n\t"fmt"\n\t"os"')
    file = folder / name
    file.write_text(code + rest)
    done = subprocess.run(
        [part.format(file=file) for part in command],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {"true": True, "false": False}[done.stdout.strip()]


def _delivery(secret: str, key: bytes, /, **changes: Any) -> dict[str, Any]:
    """A delivery as tradehook signs it, with one thing changed."""
    at = changes.get("at", int(time.time()))
    entries = ["v1," + "A" * 44, standard(key, "msg_1", at, BODY)]
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": " ".join(entries)}
    return {"secret": secret, "body": BODY, "headers": headers | changes.get("headers", {})} | {
        name: value for name, value in changes.items() if name in ("secret", "body")
    }


@pytest.mark.parametrize("language", RUNNERS)
def test_verification_code(language: str, tmp_path: Path) -> None:
    """The page's code takes our own signature, during a rotation too, and nothing that was changed."""
    for secret, key in SECRETS.values():
        assert _run(language, tmp_path, _delivery(secret, key))
        old = hmac.new(key, f"msg_1.{int(time.time())}.".encode(), hashlib.sha256).hexdigest()
        forged = [
            _delivery(secret, key, body=BODY.replace("BTC", "ETH")),
            _delivery(secret, key, secret="another secret"),
            _delivery(secret, key, at=int(time.time()) - 400),
            _delivery(secret, key, headers={"webhook-id": "msg_2"}),
            _delivery(secret, key, headers={"webhook-signature": f"v1,{old}"}),
            _delivery(secret, key, headers={"webhook-signature": ""}),
            _delivery(secret, key, headers={"webhook-timestamp": "soon"}),
        ]
        assert [_run(language, tmp_path, each) for each in forged] == [False] * len(forged)


def test_links_on_the_site() -> None:
    """Links of the repository lead to pages of the site, or become plain names where the site lacks them."""
    text = (
        "[a](../docs/api.md#tokens) [b](../README.md#start) [c](../app.py) [d](https://x.example) [e](#here)"
    )
    assert site_text(text, "orders.md") == (
        "[a](api.md#tokens) [b](index.md) `c` [d](https://x.example) [e](#here)"
    )
    assert site_text("[a](docs/api.md) [b](docs/adr/)", "project/ARCHITECTURE.md") == (
        "[a](../api.md) [b](../adr/README.md)"
    )
    assert site_text("```\n[a](../app.py)\n```", "orders.md") == "```\n[a](../app.py)\n```"


def test_diagrams_are_drawn() -> None:
    """Each diagram of a page has its picture, and a changed one names the command that draws it."""
    for page in (ROOT / "docs").rglob("*.md"):
        assert "```mermaid" not in site_text(page.read_text(), page.relative_to(ROOT / "docs").as_posix())
    with pytest.raises(FileNotFoundError, match="npm run diagrams"):
        site_text("```mermaid\nsequenceDiagram\n    A->>B: other\n```\n", "concepts.md")


def test_tree_has_every_code() -> None:
    """Each code of `docs/errors.md` stands in the tree below each of its statuses. Hints are left out."""
    errors = (ROOT / "docs" / "errors.md").read_text()
    tree = error_tree(errors)
    codes = set(re.findall(r"^\| `(\w+)` \|", errors, re.MULTILINE))
    assert set(re.findall(r"- `(\w+)`:", tree)) == {code for code in codes if not code.startswith("hint_")}
    by_status = dict(re.findall(r"### (\d+)\n(.*?)(?=### |\Z)", tree, re.DOTALL))
    assert all("`invalid_choice`" in by_status[status] for status in ("400", "422"))


def test_no_page_loads_from_another_host(tmp_path: Path) -> None:
    """The build fails on a script, a style or a picture of another host, and takes links to read."""
    page = tmp_path / "index.html"
    page.write_text('<a href="https://x.example">x</a><script src="a.js"></script>')
    on_post_build({"site_dir": str(tmp_path)})
    page.write_text('<link rel="stylesheet" href="https://fonts.example/a.css">')
    with pytest.raises(RuntimeError, match="fonts"):
        on_post_build({"site_dir": str(tmp_path)})

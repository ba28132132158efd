"""A KMS key is used with a context that says whose secret it is about."""

import re

import yaml

from infra.stack import ROOT
from tests.infra.terraform import MODULE

KEYS = yaml.safe_load((ROOT / "infra" / "stack.yaml").read_text())["keys"]


def test_context_is_what_the_code_gives() -> None:
    """Each key's context in `stack.yaml`, which the grants demand, is the one under which the code encrypts
    and decrypts.
    """
    used = {
        key: set(
            re.findall(
                r'EncryptionContext=\{"(\w+)"|return \{"(\w+)": (?:account_id|str\(webhook_id\))\}',
                (ROOT / path).read_text(),
            )
        )
        for key, path in {
            "secrets": "chalicelib/accounts/key_encryption.py",
            "codes": "chalicelib/users/xc_codes.py",
            "webhooks": "chalicelib/webhooks/sealing.py",
        }.items()
    }

    assert {key: {name for pair in found for name in pair if name} for key, found in used.items()} == {
        key: set(text["context"]) for key, text in KEYS.items()
    }


def test_grants_demand_the_context() -> None:
    """A grant on a key has the condition; a plan does not know the text of these policies yet."""
    assert '"kms:EncryptionContextKeys" = local.key_context[each.key]' in (MODULE / "grants.tf").read_text()

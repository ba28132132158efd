"""The deployed artifact: its size, and what it must not contain."""

import zipfile

from infra.build.artifact import BUILD, build

_LIMIT = 60_000_000  # bytes; Lambda itself allows 250 MB, but every cold start reads it


def test_artifact_is_small() -> None:
    """Below 60 MB unpacked, ccxt and all."""
    assert 10_000_000 < build()["unpacked_size"] < _LIMIT


def test_artifact_carries_what_lambda_lacks_and_no_more() -> None:
    """Lambda has its own boto3.

    Of ccxt's hundred exchanges it has those of infra/stack.yaml, and no tests of any package.
    """
    build()
    with zipfile.ZipFile(BUILD / "tradehook.zip") as zipped:
        names = zipped.namelist()
    top = {name.partition("/")[0] for name in names}

    assert {"chalicelib", "functions", "app.py", "pydantic", "ccxt"} <= top
    assert not {"boto3", "botocore", "s3transfer", "moto", "chalice_local", "ministack", "tests"} & top
    assert {"ccxt/binance.pyc", "ccxt/binance.py"} & set(names)
    assert not {"ccxt/kraken.pyc", "ccxt/kraken.py"} & set(names)

"""The artifact's parts: the same from the same, and ccxt no larger than needed."""

import subprocess
import sys
import zipfile

import pytest

from infra.build import ccxt_subset, zipping

INIT = """__version__ = '1.2.3'
from ccxt.base.exchange import Exchange     # noqa: F401
from ccxt.base import errors
from ccxt.binance import binance            # noqa: F401
from ccxt.binanceusdm import binanceusdm    # noqa: F401
from ccxt.kraken import kraken              # noqa: F401

exchanges = [
    'binance',
    'binanceusdm',
    'kraken',
]

__all__ = ['Exchange'] + exchanges
"""


@pytest.fixture
def ccxt(tmp_path):
    package = tmp_path / "ccxt"
    for name in ("base", "abstract", "async_support", "pro", "static_dependencies"):
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    (package / "__init__.py").write_text(INIT)
    (package / "base" / "exchange.py").write_text("class Exchange: ...\n")
    (package / "base" / "errors.py").touch()
    for name, parent in {
        "binance": "base.exchange",
        "binanceusdm": "binance",
        "kraken": "base.exchange",
    }.items():
        imported = parent.rpartition(".")[2].replace("exchange", "Exchange")
        (package / f"{name}.py").write_text(f"from ccxt.{parent} import {imported}\nclass {name}: ...\n")
        (package / "abstract" / f"{name}.py").touch()
    return package


def test_ccxt_keeps_the_asked_and_their_parents(ccxt):
    """`binanceusdm` needs `binance`; `kraken` goes, and what is left still imports."""
    ccxt_subset.trim(ccxt, ("binanceusdm",))
    assert sorted(path.name for path in ccxt.iterdir()) == [
        "__init__.py",
        "abstract",
        "base",
        "binance.py",
        "binanceusdm.py",
    ]
    assert sorted(path.name for path in (ccxt / "abstract").iterdir()) == [
        "__init__.py",
        "binance.py",
        "binanceusdm.py",
    ]
    # Another process: two packages of one name would mix in `sys.modules` of this process.
    asked = "import ccxt; print(ccxt.__version__, *ccxt.exchanges)"
    trimmed = subprocess.run(
        [sys.executable, "-c", asked], cwd=ccxt.parent, capture_output=True, text=True, timeout=30, check=True
    )
    assert trimmed.stdout.split() == ["1.2.3", "binance", "binanceusdm"]


def test_an_unknown_exchange_is_named(ccxt):
    """A misspelt module stops the build with its name."""
    with pytest.raises(zipping.BuildError, match="'binanec'"):
        ccxt_subset.trim(ccxt, ("binanec",))


def test_zips_are_the_same_byte_for_byte(tmp_path):
    """Dates and permissions of this machine leave no trace."""
    for number, mode in ((1, 0o600), (2, 0o755)):
        directory = tmp_path / str(number)
        directory.mkdir()
        for name in ("b.py", "a.py") if number == 1 else ("a.py", "b.py"):
            (directory / name).write_text("x = {'one', 'two', 'three'}\n")
            (directory / name).chmod(mode)
        zipping.compile_tree(directory)
        zipping.write(tmp_path / f"{number}.zip", zipping.files_of(directory))
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_one_zip_on_top_of_another(tmp_path):
    """Our code is added to the dependencies' zip without packing those again."""
    (tmp_path / "one").write_text("1")
    zipping.write(tmp_path / "base.zip", {"one": tmp_path / "one"})
    zipping.write(tmp_path / "both.zip", {"two": tmp_path / "one"}, onto=tmp_path / "base.zip")
    with zipfile.ZipFile(tmp_path / "both.zip") as both:
        assert both.namelist() == ["one", "two"]
        assert both.testzip() is None


def test_what_does_not_compile_stops_the_build(tmp_path):
    """Better here than on the first request."""
    (tmp_path / "broken.py").write_text("def\n")
    with pytest.raises(zipping.BuildError, match="broken"):
        zipping.compile_tree(tmp_path)


def test_a_fingerprint_sees_names_and_content(tmp_path):
    """Another word, name or byte, another fingerprint."""
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    prints = {
        zipping.fingerprint(["x"], {"a": tmp_path / "a"}),
        zipping.fingerprint(["y"], {"a": tmp_path / "a"}),
        zipping.fingerprint(["x"], {"b": tmp_path / "a"}),
        zipping.fingerprint(["x"], {"a": tmp_path / "b"}),
    }
    assert len(prints) == 4

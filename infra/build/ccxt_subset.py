"""Reduces ccxt to the configured exchanges.

Importing any ccxt module runs `ccxt/__init__.py`, which imports all of its hundred exchanges: 2 seconds and
120 MB for nothing. Only that file changes. All other kept files stay as ccxt made them.
"""

import re
import shutil
from pathlib import Path

from infra.build.zipping import BuildError

_PARENT = re.compile(r"^from ccxt\.(\w+) import", re.MULTILINE)


def trim(package: Path, modules: tuple[str, ...]) -> None:
    """Reduces the installed package to `modules`, their parent classes and the base."""
    kept = _with_parents(package, modules)
    original = (package / "__init__.py").read_text(encoding="utf-8")
    for path in package.iterdir():
        if path.name in {"base", "abstract", "__init__.py"} or path.stem in kept:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (package / "abstract").iterdir():
        if path.name != "__init__.py" and path.stem not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (package / "__init__.py").write_text(_init(original, kept), encoding="utf-8")


def _with_parents(package: Path, modules: tuple[str, ...]) -> list[str]:
    """Returns the modules and their parents: `binanceusdm` derives from `binance`."""
    kept: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = package / f"{module}.py"
        if not path.is_file():
            raise BuildError(f"infra/stack.yaml names the ccxt module {module!r}, which ccxt does not have")
        if module not in kept:
            kept.add(module)
            waiting += [
                name
                for name in _PARENT.findall(path.read_text(encoding="utf-8"))
                if name not in {"base", "abstract"}
            ]
    return sorted(kept)


def _init(original: str, modules: list[str]) -> str:
    """Returns the package's `__init__` without the removed exchanges."""
    listed = "".join(f"    {module!r},\n" for module in modules)
    shortened, lists = re.subn(
        r"^exchanges = \[.*?^\]", f"exchanges = [\n{listed}]", original, flags=re.MULTILINE | re.DOTALL
    )
    kept = {"base", *modules}
    shortened, imports = re.subn(
        r"^from ccxt\.(\w+)\s+import .*\n",
        lambda line: line[0] if line[1] in kept else "",
        shortened,
        flags=re.MULTILINE,
    )
    if lists != 1 or not imports:
        raise BuildError("ccxt/__init__.py has a new form that infra/build/ccxt_subset.py cannot trim")
    return shortened

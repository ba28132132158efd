"""`python -m infra.build [--target lambda]`.

Takes a second or two for changed code, and almost no time without changes.
"""

import argparse
import sys
import time

from infra.build.artifact import BUILD, build
from infra.build.zipping import BuildError
from infra.stack import ROOT, StackError


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.build", description="Build the deployment zip and the route document."
    )
    parser.add_argument(
        "--target", choices=["local", "lambda"], default="local", help="where the artifact will run"
    )
    target = parser.parse_args().target
    started = time.monotonic()
    try:
        manifest = build(target)
    except (BuildError, StackError) as error:
        sys.exit(f"✗ {error}")
    where = (BUILD / "lambda" if target == "lambda" else BUILD).relative_to(ROOT)
    print(
        f"{where}/tradehook.zip for Python {manifest['python']}: {manifest['size'] / 1e6:.1f} MB, "
        f"{manifest['unpacked_size'] / 1e6:.1f} MB unpacked, {time.monotonic() - started:.1f} s"
    )


if __name__ == "__main__":
    main()

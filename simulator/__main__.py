"""`python -m simulator --port 18400`: runs the simulator until it is interrupted."""

import argparse
import contextlib

from simulator.server import SimulatorServer


def main() -> None:
    parser = argparse.ArgumentParser(description="Binance, Bybit and OKX, simulated on one port")
    parser.add_argument("--port", type=int, default=18400)
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    server = SimulatorServer(arguments.port, arguments.host)
    print(f"exchanges simulated at {server.url}, control calls at {server.url}/_sim/", flush=True)  # noqa: T201
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


main()

"""Posts to WebSocket connections: `python -m bench.harness.poster ENDPOINT`.

The first line of its input is a list of connections, in JSON. Each further line goes to all of them,
concurrently.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

from chalicelib.realtime.post import THREADS


def main() -> None:
    """Posts until its input ends."""
    config = Config(max_pool_connections=THREADS, retries={"total_max_attempts": 1})
    client = boto3.client("apigatewaymanagementapi", endpoint_url=sys.argv[1], config=config)
    connections = json.loads(sys.stdin.readline())
    with ThreadPoolExecutor(THREADS) as pool:
        for line in sys.stdin:
            data = line.strip().encode()
            list(
                pool.map(
                    lambda connection_id, data=data: client.post_to_connection(
                        ConnectionId=connection_id, Data=data
                    ),
                    connections,
                )
            )


if __name__ == "__main__":
    main()

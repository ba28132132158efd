"""The baseline of a signal's path.

Functions of a few lines, with as many hops as the product's, on the same cloud.
"""

import io
import json
import time
import uuid
import zipfile
from typing import Any

from bench.harness.environment import BenchEnvironment
from infra.local.paths import ACCOUNT, REGION

_OPEN = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}],
}
_FIFO = {"FifoQueue": "true", "Policy": json.dumps(_OPEN)}

_CODE = """
import json, os, urllib.request
import boto3
# The emulator's root: the measurement is about the path, not the permissions.
key = os.environ["ROOT_KEY"]
session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=key)
db, sqs, sns = session.client("dynamodb"), session.client("sqs"), session.client("sns")
posts = session.client("apigatewaymanagementapi", endpoint_url=os.environ["POSTS"])
table, outbox, queue, topic = (os.environ[name] for name in ("TABLE", "OUTBOX", "QUEUE", "TOPIC"))

def front(event, _context):
    one = json.loads(event["body"])["id"]
    db.put_item(TableName=table, Item={"id": {"S": one}})
    sqs.send_message(QueueUrl=queue, MessageBody=one, MessageGroupId=one, MessageDeduplicationId=one)
    print("accepted")
    return {"statusCode": 202, "headers": {}, "body": "{}"}

def worker(event, _context):
    for record in event["Records"]:
        for what in ("balance", "order"):
            urllib.request.urlopen(f"{os.environ['WIRE']}/{what}/{record['body']}", timeout=5).read()
        db.put_item(TableName=outbox, Item={"id": {"S": record["body"]}})
    print("executed")

def teller(event, _context):
    for record in event["Records"]:
        one = record["dynamodb"]["Keys"]["id"]["S"]
        sns.publish(TopicArn=topic, Message=one, MessageGroupId="all", MessageDeduplicationId=one)
    print("published")

def pusher(event, _context):
    for record in event["Records"]:
        data = json.dumps({"type": "bare", "id": record["body"]}).encode()
        posts.post_to_connection(ConnectionId=os.environ["CONNECTION"], Data=data)
    print("pushed")
"""


class BareFunctions:
    """The bare functions, deployed next to the stack. `url` takes `{"id": ...}`."""

    def __init__(self, bench_environment: BenchEnvironment, wire: str, connection_id: str) -> None:
        """Deploys them.

        Args:
            wire: The URL where the worker asks for a balance and places an order.
            connection_id: The WebSocket connection of the last function's posts.
        """
        self._stand = bench_environment
        self._tag = f"bare-{uuid.uuid4().hex[:8]}"
        client = bench_environment.stack.client
        self._tables = [f"{self._tag}-table", f"{self._tag}-outbox"]
        for table in self._tables:
            client("dynamodb").create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
            )
        stream = client("dynamodb").describe_table(TableName=self._tables[1])["Table"]["LatestStreamArn"]
        self._queues = [
            client("sqs").create_queue(QueueName=f"{self._tag}-{n}.fifo", Attributes=_FIFO)["QueueUrl"]
            for n in (1, 2)
        ]
        arns = [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self._tag}-{number}.fifo" for number in (1, 2)]
        self._topic = client("sns").create_topic(Name=f"{self._tag}.fifo", Attributes={"FifoTopic": "true"})[
            "TopicArn"
        ]
        client("sns").subscribe(
            TopicArn=self._topic, Protocol="sqs", Endpoint=arns[1], Attributes={"RawMessageDelivery": "true"}
        )
        environment = {
            "TABLE": self._tables[0],
            "OUTBOX": self._tables[1],
            "QUEUE": self._queues[0],
            "TOPIC": self._topic,
            "WIRE": wire,
            "CONNECTION": connection_id,
            "POSTS": self._posts(),
            "ROOT_KEY": bench_environment.place.root_key,
            "AWS_ENDPOINT_URL": bench_environment.place.cloud_url,
        }
        self._functions = {
            name: self._function(name, environment) for name in ("front", "worker", "teller", "pusher")
        }
        mapping = client("lambda").create_event_source_mapping
        self._sources = [
            mapping(FunctionName=self._functions["worker"], EventSourceArn=arns[0], BatchSize=10)["UUID"],
            mapping(
                FunctionName=self._functions["teller"],
                EventSourceArn=stream,
                BatchSize=25,
                StartingPosition="TRIM_HORIZON",
            )["UUID"],
            mapping(FunctionName=self._functions["pusher"], EventSourceArn=arns[1], BatchSize=10)["UUID"],
        ]
        self._api, self.url = self._rest_api()
        time.sleep(1)  # the emulator looks for new sources once a second

    def remove(self) -> None:
        """Removes them."""
        client = self._stand.stack.client
        for source in self._sources:
            client("lambda").delete_event_source_mapping(UUID=source)
        for name in self._functions:
            client("lambda").delete_function(FunctionName=f"{self._tag}-{name}")
        client("apigateway").delete_rest_api(restApiId=self._api)
        client("sns").delete_topic(TopicArn=self._topic)
        for url in self._queues:
            client("sqs").delete_queue(QueueUrl=url)
        for table in self._tables:
            client("dynamodb").delete_table(TableName=table)

    def _posts(self) -> str:
        """Returns the management URL of the stack's WebSocket API."""
        stack = self._stand.stack
        found = stack.client("lambda").get_function_configuration(
            FunctionName=stack.function("push_realtime")
        )
        return str(found["Environment"]["Variables"]["WEBSOCKET_REALTIME"])

    def _function(self, name: str, environment: dict[str, str]) -> str:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("bare.py", _CODE)
        stack = self._stand.stack
        like = stack.client("lambda").get_function_configuration(
            FunctionName=stack.function("receive_signals")
        )
        made: dict[str, Any] = stack.client("lambda").create_function(
            FunctionName=f"{self._tag}-{name}",
            Runtime=like["Runtime"],
            Role=like["Role"],
            Handler=f"bare.{name}",
            Code={"ZipFile": archive.getvalue()},
            Timeout=20,
            MemorySize=1024,
            Environment={"Variables": environment},
        )
        return str(made["FunctionArn"])

    def _rest_api(self) -> tuple[str, str]:
        client = self._stand.stack.client("apigateway")
        api = client.create_rest_api(name=self._tag)["id"]
        root = client.get_resources(restApiId=api)["items"][0]["id"]
        resource = client.create_resource(restApiId=api, parentId=root, pathPart="front")["id"]
        client.put_method(restApiId=api, resourceId=resource, httpMethod="POST", authorizationType="NONE")
        client.put_integration(
            restApiId=api,
            resourceId=resource,
            httpMethod="POST",
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{self._functions['front']}/invocations",
        )
        client.create_deployment(restApiId=api, stageName="v1")
        return api, f"{self._stand.place.cloud_url}/_aws/execute-api/{api}/v1/front"

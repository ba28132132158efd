"""Numbers people can say aloud: users, accounts, strategies are counted 1, 2, 3 ...

A number that was handed out and not used leaves a gap; none is handed out twice.
"""

from chalicelib import aws, config


def next_value(name: str) -> int:
    """The next number of a series, starting at 1."""
    answer = aws.client("dynamodb").update_item(
        TableName=config.table("counters"),
        Key=aws.to_dynamodb({"name": name}),
        UpdateExpression="ADD #last :one",
        ExpressionAttributeNames={"#last": "last"},
        ExpressionAttributeValues=aws.to_dynamodb({":one": 1}),
        ReturnValues="UPDATED_NEW",
    )
    return int(aws.from_dynamodb(answer["Attributes"])["last"])

"""Short numbers for users, accounts and strategies: 1, 2, 3 ...

A number that was allocated and not used leaves a gap. No number is allocated twice.
"""

from chalicelib import aws, config


def next_value(name: str) -> int:
    """Returns the next number of a series, starting at 1."""
    answer = aws.client("dynamodb").update_item(
        TableName=config.table("counters"),
        Key=aws.to_dynamodb({"name": name}),
        UpdateExpression="ADD #last :one",
        ExpressionAttributeNames={"#last": "last"},
        ExpressionAttributeValues=aws.to_dynamodb({":one": 1}),
        ReturnValues="UPDATED_NEW",
    )
    return int(aws.from_dynamodb(answer["Attributes"])["last"])

"""DynamoDB's temporary refusals are retried.

At last they are the caller's to retry, never an internal error.
"""

import pytest
from botocore.exceptions import ClientError

from chalicelib import aws
from chalicelib.errors import Retryable


class _Faulty:
    """A client whose writes fail some times with a code, as botocore raises it."""

    def __init__(self, code, times):
        self.code = code
        self.left = times
        self.calls = 0

    def _call(self, **arguments):
        self.calls += 1
        if self.left:
            self.left -= 1
            raise ClientError(
                {"Error": {"Code": self.code, "Message": "Transaction is ongoing for the item"}}, "Write"
            )
        return {"Attributes": {"n": {"N": "1"}}} if "ReturnValues" in arguments else {}

    put_item = update_item = delete_item = batch_write_item = _call


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setenv("TABLE_WEBHOOKS", "t")
    pauses = []
    monkeypatch.setattr(aws.time, "sleep", pauses.append)

    def having(code, times):
        fake = _Faulty(code, times)
        monkeypatch.setattr(aws, "client", lambda service: fake)
        return fake, pauses

    return having


def _writes():
    key = {"id": "webhook#1"}
    return [
        aws.put_write("webhooks", key),
        aws.update_write("webhooks", key, "REMOVE failing_since"),
        aws.delete_write("webhooks", key),
    ]


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_conflict_is_tried_again(faulty, kind):
    """A transaction at the same item holds a single write back for a moment, whatever kind of write it is.

    Pauses grow and differ.
    """
    fake, pauses = faulty("TransactionConflictException", 4)
    assert aws.write(_writes()[kind], returning=True) == {"n": 1}
    assert fake.calls == 5
    assert len(set(pauses)) == 4
    assert all(0 <= pause <= 0.02 * 2**attempt for attempt, pause in enumerate(pauses))


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_lasting_conflict_is_retryable(faulty, kind):
    """After five tries the queue or the sender retries."""
    fake, _ = faulty("TransactionConflictException", 99)
    with pytest.raises(Retryable):
        aws.write(_writes()[kind])
    assert fake.calls == 5


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"]
)
def test_throttling_is_retryable(faulty, code):
    """Botocore has tried three times by then, with pauses of its own."""
    fake, _ = faulty(code, 99)
    with pytest.raises(Retryable, match=code):
        aws.write(_writes()[0])
    assert fake.calls == 1


@pytest.mark.parametrize("code", ["TransactionConflictException", "ThrottlingException"])
def test_batches_are_tried_again(faulty, code):
    """A batch of puts or deletes is retried, and at last the caller's to retry."""
    fake, _ = faulty(code, 4)
    aws.put_many("webhooks", [{"id": "1"}])
    assert fake.calls == 5
    faulty(code, 99)
    with pytest.raises(Retryable):
        aws.delete_many("webhooks", [{"id": "1"}])


def test_what_is_not_taken_of_a_batch_is_sent_again(faulty, monkeypatch):
    """Only the part that DynamoDB gives back is sent again."""
    fake, _ = faulty("", 0)
    sent = []

    def take_one(RequestItems):  # noqa: N803 - botocore's name
        [(table, requests)] = RequestItems.items()
        sent.append(len(requests))
        return {"UnprocessedItems": {table: requests[1:]} if requests[1:] else {}}

    monkeypatch.setattr(fake, "batch_write_item", take_one, raising=False)
    aws.put_many("webhooks", [{"id": str(number)} for number in range(4)])
    assert sent == [4, 3, 2, 1]


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException"])
def test_other_faults_are_not_hidden(faulty, code):
    """A mistake of ours stays one."""
    fake, _ = faulty(code, 99)
    with pytest.raises(ClientError):
        aws.write(_writes()[0])
    with pytest.raises(ClientError):
        aws.put_many("webhooks", [{"id": "1"}])
    assert fake.calls == 2

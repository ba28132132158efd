"""`POST /xc` as a chat's request for its connection string."""

import pytest

from functions import receive_signals
from testkit import pump
from testkit.gateway import call


@pytest.mark.parametrize("body", [{"chat_id": 4242}, {"chat_id": "4242"}, "chat_id=4242"])
def test_a_chat_id_alone_asks_for_the_code(body):
    """In any form, a chat id alone sends the string to the chat, and the answer omits the code."""
    status, answer, _ = call(receive_signals.app, "POST", "/xc", body)
    assert (status, answer["chat_id"]) == (200, 4242)
    assert "code" not in str(answer)
    assert [message["chat_id"] for message in pump.bodies("telegram")] == [4242]

"""Cancels one resting order that a signed-in user named, between the account's other messages."""

from chalicelib.execution.execute_signal import execute_signal
from chalicelib.orders.models import CancelOrder, Instruction
from chalicelib.trading import Action


def cancel_order(message: CancelOrder, seconds: float) -> None:
    """Cancels the order once. An order that has ended stays as it is.

    Exits of a part that has filled stay: they protect the position. Later exits are not placed, because the
    entry no longer fills.

    Args:
        seconds: Longest wait for the exchange, seconds.

    Raises:
        Retryable: The exchange did not answer in time. The next delivery continues.
    """
    instruction = Instruction(
        signal_id=message.cancel_id,
        user_id=message.user_id,
        account_id=message.account_id,
        exchange=message.exchange,
        variant="cancel",
        action=Action.CANCEL_ALL,
        order_id=message.order_id,
        unconditional=True,
        simulated=message.exchange == "paper",
        received_at=message.at,
        max_age_s=0,
        single_account=False,
    )
    execute_signal(instruction, seconds)

"""One account's calls to its exchange: ccxt signs them, and every failure gets an error class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from chalicelib.errors import TradehookError
from chalicelib.exchanges import outcomes
from chalicelib.exchanges.account_settings import AccountSettings
from chalicelib.exchanges.dialects import documented
from chalicelib.exchanges.outcomes import Failure, Meaning
from chalicelib.exchanges.protocol import Credentials, Pacing
from chalicelib.exchanges.transport import ExchangeTransport
from chalicelib.telemetry import Metric, log, measure

_REASON_LENGTH = 200
_HTTP_ERROR = 400

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class ErrorRules(Protocol):
    """How one exchange reports errors and limits."""

    @property
    def error_rules(self) -> Sequence[Meaning]:
        """The exchange's codes. The first row that matches counts."""
        ...

    def parse_error(self, reply: Any) -> tuple[str | None, str]:
        """Returns the code and message of a reply. The code is None if the reply is no error."""
        ...

    def pacing(self, headers: Mapping[str, str]) -> Pacing:
        """Returns what a reply's headers say about the limits."""
        ...

    def weight(self, method: str, parameters: Parameters) -> int:
        """Returns a call's weight in the address's limit. The method is named as in ccxt."""
        ...


class Api:
    """Signed calls to an exchange.

    Attributes:
        client: The ccxt exchange.
        pacing: What the last reply said about the limits.
        settings: The account's known settings.
        pace: Waits until a call of this weight may be sent. The default sends every call at once.
    """

    def __init__(
        self,
        name: str,
        client: Any,
        transport: ExchangeTransport,
        error_rules: ErrorRules,
        credentials: Credentials,
    ) -> None:
        self.client = client
        self.pacing = Pacing()
        self.settings = AccountSettings()
        self.pace: Callable[[int], None] = lambda _weight: None
        self._name = name
        self._transport = transport
        self._error_rules = error_rules
        self._secrets = [
            secret for secret in (credentials.api_key, credentials.secret, credentials.passphrase) if secret
        ]

    def read(self, method: str, parameters: Parameters | None = None) -> Any:
        """Calls an endpoint that changes nothing, named as in ccxt. Returns the reply.

        Raises:
            Retryable, NotDoable, outcomes.Absent: According to the exchange's code. Retryable if the code is
                not certain.
        """
        return self._call(method, parameters, changes=False)

    def change(self, method: str, parameters: Parameters | None = None) -> Any:
        """Calls an endpoint that changes something, once.

        Raises:
            Retryable, NotDoable, outcomes.Duplicate, Absent, Already: According to the exchange's code.
                Nothing was changed.
            OutcomeUnknown: No answer, an answer without the exchange's own code, HTTP 500 and above, and
                codes listed as unknown.
        """
        return self._call(method, parameters, changes=True)

    def _call(self, method: str, parameters: Parameters | None, *, changes: bool) -> Any:
        weight = self._error_rules.weight(method, parameters or {})
        return self.run(
            lambda: getattr(self.client, method)(_copy(parameters)), changes=changes, weight=weight
        )

    def run(self, call: Callable[[], Any], *, changes: bool, weight: int = 1) -> Any:
        """Makes any ccxt call under the rules of `read` and `change`."""
        self.pace(weight)
        sent_before = self._transport.sent
        self._forget()
        try:
            reply = call()
        except TradehookError:
            raise
        except Exception as error:  # noqa: BLE001  ccxt raises its own classes, requests', and now and then a KeyError
            failure: Exception | None = error
        else:
            failure = None
        finally:
            self.pacing = self._error_rules.pacing(self.client.last_response_headers or {})
        if failure is None:
            code, _ = self._error_rules.parse_error(reply)
            if isinstance(reply, (dict, list)) and code is None:
                return reply
        failed = self._failure(failure, sent=self._transport.sent > sent_before)
        self._count_unlisted(failed)
        # Not chained: ccxt puts the URL, with key and signature, into its messages.
        raise outcomes.reaction(failed, self._error_rules.error_rules, changes=changes) from None

    def _count_unlisted(self, failed: Failure) -> None:
        """Counts an answer with an unlisted code, so that the tables can be completed."""
        if outcomes.is_unlisted(
            failed, self._error_rules.error_rules
        ) and failed.code not in documented.codes(self._name):
            log.warning(
                "unlisted exchange code received",
                extra={"exchange": self._name, "exchange_code": failed.code, "reason": failed.reason},
            )
            measure(Metric.UNLISTED_EXCHANGE_CODES, 1, {"exchange": self._name})

    def _forget(self) -> None:
        client = self.client
        client.last_http_response = client.last_json_response = client.last_response_headers = None

    def _failure(self, error: Exception | None, *, sent: bool) -> Failure:
        client = self.client
        code, reason = self._error_rules.parse_error(client.last_json_response)
        status = _status(error)
        return Failure(
            exchange=self._name,
            error=error,
            sent=sent,
            status=status,
            code=code,
            reason=self._clean(reason),
            retry_after=self.pacing.retry_after,
        )

    def _clean(self, reason: str) -> str:
        """Returns the exchange's message without the key.

        Bybit repeats the signed text if a signature is wrong.
        """
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return reason[:_REASON_LENGTH]


def _copy(parameters: Parameters | None) -> Any:
    # ccxt adds its own fields to the parameters.
    if parameters is None:
        return {}
    return dict(parameters) if isinstance(parameters, Mapping) else [dict(each) for each in parameters]


def _status(error: BaseException | None) -> int | None:
    """Returns the HTTP status behind an error. None if there is none."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None and response.status_code >= _HTTP_ERROR:
            return int(response.status_code)
        error = error.__cause__ or error.__context__
    return None

"""Typed failures: what is worth trying again and what is not.

Belongs here: the exception types every room raises and the retry policy for them. Does not belong
here: HTTP status tables of one vendor (`resources/<vendor>.py`), alerting (`ops_platform.alerts`).
"""

from __future__ import annotations


class OpsError(Exception):
    """Base of every failure the platform raises on purpose. The text says what to do, and never holds a credential:
    it is kept in receipts and shown in Slack."""

    def __init__(self, *words: object) -> None:
        from ops_platform.redaction import redact

        super().__init__(*(redact(word) if isinstance(word, str) else word for word in words))


class ConfigurationError(OpsError):
    """A setting, file or credential is wrong. Fix it and start again; retrying cannot help."""


class PermanentFailure(OpsError):
    """The other side refused and will refuse again (wrong credentials, bad query, unknown version)."""


class TransientFailure(OpsError):
    """The other side may answer later (throttled, overloaded, reset, timed out).

    `retry_after` is in seconds, when the other side said how long to wait. `exhausted` is set by whoever has
    already tried again as often as makes sense: nobody above should."""

    exhausted: bool = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AmbiguousFailure(TransientFailure):
    """The request may or may not have taken effect: look before trying again, never simply repeat."""


class DataFailure(OpsError):
    """The data contradicts what was promised (shrunk table, broken contract); nothing was changed."""


def in_words(error: BaseException) -> str:
    """What is kept of a failure: its own sentence where it was raised on purpose, else its type as well."""
    return str(error) if isinstance(error, OpsError) else f"{type(error).__name__}: {error}"

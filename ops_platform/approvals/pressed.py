"""A press becomes a decision.

Belongs here: translating one into the other, and nothing else. Does not belong here: keeping presses
(`ops_platform.alerts.presses`), what a decision does (`inbox.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.presses import StandingRefusal
from ops_platform.approvals.inbox import TooLateError
from ops_platform.approvals.standing import person_of_slack
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.alerts.presses import Press
    from ops_platform.approvals.inbox import Inbox


@dataclass(frozen=True, slots=True)
class PressedApprovals:
    """Implements `ops_platform.alerts.presses.Handler` for requests. The payload that counts is the one whose
    fingerprint the pressed button carries."""

    inbox: Inbox

    def __call__(self, connection: psycopg.Connection[Any], press: Press, actor: str, now: datetime) -> str:
        try:
            return self._decided(connection, press, actor, now)
        except TooLateError as error:
            raise StandingRefusal(str(error)) from error

    def _decided(self, connection: psycopg.Connection[Any], press: Press, actor: str, now: datetime) -> str:
        person = person_of_slack(self.inbox.policy, press.person, actor)
        common: dict[str, Any] = {"person": person, "key": press.key, "now": now, "words": press.words}
        if press.action == "approve":
            return self.inbox.approve(connection, press.number, shown=press.shown, **common).words
        if press.action == "reject":
            return self.inbox.reject(connection, press.number, shown=press.shown, **common).words
        if press.action == "ask":
            if not press.words:
                raise DataFailure("write your question into the field above the buttons, then press Ask")
            return self.inbox.ask(connection, press.number, **common).words
        raise DataFailure(f"a request cannot be {press.action}d")

"""A press becomes an action of the alert machine.

Belongs here: translating one into the other, and nothing else. Does not belong here: keeping presses (`presses.py`),
what an action does (`actions.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.actions import Action, Request, act

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.alerts.announcement import Composer
    from ops_platform.alerts.presses import Press
    from ops_platform.fleet import Fleet


@dataclass(frozen=True, slots=True)
class PressedActions:
    """Implements `presses.Handler`: the audit names the person as people know them, and by the vendor's id."""

    fleet: Fleet
    compose: Composer

    def __call__(self, connection: psycopg.Connection[Any], press: Press, actor: str, now: datetime) -> str:
        request = Request(
            action=Action(press.action),
            actor=actor,
            via=f"slack:{press.person}",
            key=press.key,
            alert_id=press.number,
            assignee=actor if press.action == "assign" else None,
            until=press.day if press.action == "snooze" else None,
            last_day=press.day if press.action == "mute" else None,
            reason="from the button" if press.action == "mute" else "",
        )
        return act(connection, request, now, fleet=self.fleet, compose=self.compose).words

"""A failed source silences what depends on it.

Belongs here: who silences whom. Does not belong here: how a source is found to have failed (`sources.py`), what is
said of it (`telling.py`).

A look at something that is computed from a failed source proves nothing either way: it neither opens nor resolves, and
it is not counted as seen, so that the first look after the source is well again is judged as any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from ops_platform.alerts.machine import OUT

if TYPE_CHECKING:
    from ops_platform.alerts.signal import Subject
    from ops_platform.alerts.store import Watched
    from ops_platform.fleet.alert_policy import AlertPolicy


def failed_sources(policy: AlertPolicy, watched: Iterable[Watched]) -> dict[str, str]:
    """By name (`vendor.stream`, or `vendor` for the whole of it), the key of the subject that is out."""
    return {
        item.subject.name: item.subject.key
        for item in watched
        if item.subject.kind.value in policy.inhibitors and item.condition.state in OUT
    }


def inhibitor(subject: Subject, depends_on: Collection[str], failed: dict[str, str]) -> str | None:
    """The key of the source that silences the subject, or None. A source never silences itself."""
    for name in sorted(depends_on):
        found = failed.get(name) or failed.get(name.partition(".")[0])
        if found is not None and found != subject.key:
            return found
    return None

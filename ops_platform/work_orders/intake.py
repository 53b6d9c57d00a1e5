"""Intake by webhook: deliveries are kept before they are answered, then worked off.

Belongs here: keeping and reading deliveries. Does not belong here: signatures and HTTP (`resources.github.webhook`),
the poll (`polling.py`, also to be had here), who is authorised (`reading.py`), what a sight means (`receiving.py`).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from ops_platform import clock
from ops_platform.failpoints import failpoint
from ops_platform.failures import OpsError
from ops_platform.work_orders.model import IssueSeen, Received
from ops_platform.work_orders.policy import WorkPolicy
from ops_platform.work_orders.polling import Polled, poll
from ops_platform.work_orders.reading import Authority, Changed, Connect, Elsewhere, IssueReader, know_repository
from ops_platform.work_orders.receiving import receive
from ops_platform.work_orders.sights import Malformed, of_webhook

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "Authority", "Changed", "Elsewhere", "IssueReader", "Polled", "keep_delivery", "know_repository", "poll",
    "take_deliveries",
]  # fmt: skip

log = logging.getLogger(__name__)

MOST_TRIES = 20


def keep_delivery(
    connection: psycopg.Connection[Any], delivery_id: str, event: str, payload: bytes, *, at: datetime | None = None
) -> bool:
    """Keep a delivery whose signature held; commit before answering it. Whether it is new: GitHub's redelivery has the
    id of the first."""
    row = connection.execute(
        """insert into ops.work_deliveries (delivery_id, event, payload, payload_hash, received_at)
           values (%s, %s, %s, %s, %s) on conflict (delivery_id) do nothing returning delivery_id""",
        (delivery_id[:100], event[:100], payload, hashlib.sha256(payload).hexdigest(), at or clock.now()),
    ).fetchone()
    return row is not None


def take_deliveries(
    connect: Connect,
    policy: WorkPolicy,
    reader: IssueReader,
    repositories: Iterable[str],
    *,
    only: str | None = None,
    limit: int = 100,
    at: datetime | None = None,
) -> list[Received]:
    """Work off the deliveries that were kept, in the order they came (`only` one of them); what came of each. One that
    cannot be read yet (GitHub does not answer who somebody is) is tried again later, and holds up no other."""
    now = at or clock.now()
    with connect() as connection:
        rows = connection.execute(
            """select delivery_id, event, payload from ops.work_deliveries
               where state = 'received' and (not_before is null or not_before <= %(now)s)
                   and (%(only)s::text is null or delivery_id = %(only)s)
               order by received_at, delivery_id limit %(limit)s""",
            {"now": now, "only": only, "limit": limit},
        ).fetchall()
    authority = Authority(policy, reader)
    watched = {name.lower() for name in repositories}
    made = []
    for delivery_id, event, payload in rows:
        received = _take(connect, policy, authority, watched, str(delivery_id), str(event), bytes(payload), at)
        if received is not None:
            made.append(received)
    return made


def _take(
    connect: Connect,
    policy: WorkPolicy,
    authority: Authority,
    watched: set[str],
    delivery_id: str,
    event: str,
    payload: bytes,
    at: datetime | None,
) -> Received | None:
    now = at or clock.now()
    try:
        told = orjson.loads(payload)
        if not isinstance(told, dict):
            raise Malformed("the payload is no object")
        _follow_rename(connect, told)
        repository = _repository_of(told)
        if repository not in watched:
            return _settle(connect, delivery_id, "ignored", f"{repository or 'no repository'} has no work orders", now)
        if event == "label":
            return _settle(connect, delivery_id, "ignored", _label_changed(connect, repository, told), now)
        if event != "issues":
            return _settle(connect, delivery_id, "ignored", f"{event} says nothing about an order", now)
        seen = of_webhook(told, authority.holds, now)
    except (orjson.JSONDecodeError, Malformed) as error:
        return _settle(connect, delivery_id, "refused", str(error), now)
    except OpsError as error:
        log.warning("delivery %s: %s", delivery_id, error)
        _try_later(connect, delivery_id, str(error), now)
        return None
    with connect() as connection:
        row = connection.execute(
            "select 1 from ops.work_deliveries where delivery_id = %s and state = 'received' for update skip locked",
            (delivery_id,),
        ).fetchone()
        if row is None:
            return None  # another process is at it, or was
        received = receive(connection, seen, policy, at=at)
        failpoint("work_orders.delivery_received")
        _close(connection, delivery_id, "processed", f"{received.change}: {received.reason}", now, seen)
    failpoint("work_orders.delivery_processed")
    return received


def _repository_of(told: Mapping[str, Any]) -> str:
    repository = told.get("repository")
    name = repository.get("full_name") if isinstance(repository, dict) else None
    return name.lower() if isinstance(name, str) else ""


def _settle(connect: Connect, delivery_id: str, state: str, reason: str, at: datetime) -> Received:
    with connect() as connection:
        _close(connection, delivery_id, state, reason, at, None)
    return Received("ignored", reason)


def _close(
    connection: psycopg.Connection[Any],
    delivery_id: str,
    state: str,
    outcome: str,
    at: datetime,
    seen: IssueSeen | None,
) -> None:
    connection.execute(
        """update ops.work_deliveries set state = %s, outcome = %s, processed_at = %s, repository = %s, number = %s,
               attempts = attempts + 1
           where delivery_id = %s and state = 'received'""",
        (state, outcome[:2000], at, seen.repository if seen else None, seen.number if seen else None, delivery_id),
    )


def _try_later(connect: Connect, delivery_id: str, reason: str, at: datetime) -> None:
    """Doubling waits up to ten minutes; after `MOST_TRIES` it is left to the poll, which sees the issue anyway."""
    with connect() as connection:
        connection.execute(
            """update ops.work_deliveries set attempts = attempts + 1, outcome = %(reason)s,
                   not_before = %(now)s
                       + least(interval '10 minutes', interval '5 seconds' * power(2, least(attempts, 10))),
                   state = case when attempts + 1 >= %(most)s then 'refused' else state end,
                   processed_at = case when attempts + 1 >= %(most)s then %(now)s::timestamptz end
               where delivery_id = %(id)s and state = 'received'""",
            {"reason": reason[:2000], "now": at, "most": MOST_TRIES, "id": delivery_id},
        )


def _follow_rename(connect: Connect, told: Mapping[str, Any]) -> None:
    repository = told.get("repository")
    if isinstance(repository, dict) and isinstance(repository.get("id"), int):
        name = repository.get("full_name")
        if isinstance(name, str) and name:
            with connect() as connection:
                know_repository(connection, name, repository["id"])


def _label_changed(connect: Connect, repository: str, told: Mapping[str, Any]) -> str:
    """A label that was deleted or renamed changes issues without a word: those are asked for again."""
    label = told.get("label")
    changes = told.get("changes")
    names = {str(label.get("name") or "").lower()} if isinstance(label, dict) else set()
    if isinstance(changes, dict) and isinstance(changes.get("name"), dict):
        names.add(str(changes["name"].get("from") or "").lower())
    with connect() as connection:
        changed = connection.execute(
            """update ops.work_issues set look_again = true where repository = %s and state = 'open'
                   and exists (select from unnest(labels) as label where lower(label) = any(%s))""",
            (repository, sorted(names - {""})),
        )
    return f"{changed.rowcount} issues with that label are looked at again"

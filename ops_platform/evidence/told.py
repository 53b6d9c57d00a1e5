"""What a job has told of its lists, so that nobody is told the same thing twice.

Belongs here: reading and writing `ops.briefings_told`. Does not belong here: what makes a row news
(`evidence.briefing_lists`), when something counts as told (once its message is in the outbox).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_REMEMBER = """
insert into ops.briefings_told (job, list, key, told_as, first_told_at, told_at)
select %(job)s, %(list)s, rows.key, rows.told_as, %(at)s, %(at)s
from unnest(%(keys)s::text[], %(as)s::text[]) as rows (key, told_as)
on conflict (job, list, key) do update set told_as = excluded.told_as, told_at = excluded.told_at
where briefings_told.told_as <> excluded.told_as
"""
_FORGET = "delete from ops.briefings_told where job = %(job)s and list = %(list)s and key <> all(%(keys)s)"


def told_by(connection: psycopg.Connection[Any], job: str) -> dict[str, dict[str, str]]:
    """By list, the digest of each row's key with what was told of it."""
    found: dict[str, dict[str, str]] = {}
    for listing, key, told_as in connection.execute(
        "select list, key, told_as from ops.briefings_told where job = %s", (job,)
    ):
        found.setdefault(listing, {})[key] = told_as
    return found


def remember(
    connection: psycopg.Connection[Any], job: str, lists: Mapping[str, Mapping[str, str]], at: datetime
) -> None:
    """These rows are told now. What a list no longer has is forgotten, so that its return is news. Does not commit: it
    is told exactly when its message is in the outbox."""
    for name, rows in lists.items():
        told = {"job": job, "list": name, "keys": list(rows), "as": list(rows.values()), "at": at}
        connection.execute(_FORGET, told)
        if rows:
            connection.execute(_REMEMBER, told)


def forget_gone(connection: psycopg.Connection[Any], job: str, lists: Mapping[str, Mapping[str, str]]) -> None:
    """What a list no longer has is forgotten also by a report that stays silent. Does not commit."""
    for name, rows in lists.items():
        connection.execute(_FORGET, {"job": job, "list": name, "keys": list(rows)})

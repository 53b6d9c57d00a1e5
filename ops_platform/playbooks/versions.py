"""Versions of playbooks: one text for each, for ever, and what is different between two.

Belongs here: the SQL on `ops.playbook_versions`, differences of texts. Does not belong here: the files of today
(`catalogue.py`).

A version is written down when it first runs. After that its number stands for that text: a file that changed without a
new number does not run, so that a record's version always says what was done.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.failures import DataFailure
from ops_platform.playbooks.record import wall_clock

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.playbooks.source import Source


@dataclass(frozen=True, slots=True)
class Version:
    """A version that was run, with its text, and how often."""

    playbook_id: str
    version: int
    content_hash: str
    name: str
    source: str
    seen_at: datetime
    executions: int = 0
    succeeded: int = 0


def register(connection: psycopg.Connection[Any], source: Source) -> None:
    """Write the version down. Raises `DataFailure` where its number stands for another text."""
    playbook = source.playbook
    connection.execute(
        """insert into ops.playbook_versions (playbook_id, version, content_hash, name, source, seen_at)
           values (%s, %s, %s, %s, %s, %s) on conflict (playbook_id, version) do nothing""",
        (playbook.id, playbook.version, source.content_hash, playbook.name, source.text, wall_clock()),
    )
    known = load(connection, playbook.id, playbook.version)
    if known.content_hash != source.content_hash:
        raise DataFailure(
            f"{playbook.id} was changed, and version {playbook.version} has run as it was: make it version"
            f" {newest_number(connection, playbook.id) + 1} (`ops playbook diff {playbook.id}` shows what is different)"
        )


def problem_of(connection: psycopg.Connection[Any], source: Source) -> str | None:
    """Why this text could not run under its number; None where it could. Writes nothing."""
    playbook = source.playbook
    row = connection.execute(
        "select content_hash from ops.playbook_versions where playbook_id = %s and version = %s",
        (playbook.id, playbook.version),
    ).fetchone()
    if row is None or row[0] == source.content_hash:
        return None
    return (
        f"version {playbook.version} has run with another text: make it version"
        f" {newest_number(connection, playbook.id) + 1}"
    )


def load(connection: psycopg.Connection[Any], playbook_id: str, number: int) -> Version:
    """Raises `DataFailure` where it never ran."""
    found = [one for one in history(connection, playbook_id) if one.version == number]
    if not found:
        raise DataFailure(f"{playbook_id} has no version {number} that ran")
    return found[0]


def history(connection: psycopg.Connection[Any], playbook_id: str) -> list[Version]:
    """Every version that ran, the newest first."""
    rows = connection.execute(
        """select versions.playbook_id, versions.version, versions.content_hash, versions.name, versions.source,
               versions.seen_at, count(executions.id), count(executions.id) filter (where executions.success)
           from ops.playbook_versions as versions
           left join ops.playbook_executions as executions
               on executions.playbook_id = versions.playbook_id and executions.version = versions.version
           where versions.playbook_id = %s
           group by versions.playbook_id, versions.version order by versions.version desc""",
        (playbook_id,),
    )
    return [Version(*row) for row in rows]


def newest_number(connection: psycopg.Connection[Any], playbook_id: str) -> int:
    row = connection.execute(
        "select coalesce(max(version), 0) from ops.playbook_versions where playbook_id = %s", (playbook_id,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def difference(before: str, after: str, *, before_name: str, after_name: str) -> str:
    """What is different, line by line; empty where nothing is."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), fromfile=before_name, tofile=after_name, lineterm=""
    )
    return "\n".join(lines)

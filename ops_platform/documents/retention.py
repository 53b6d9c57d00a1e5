"""Forgetting documents whose time is over.

Belongs here: deleting stored documents of a job, the evidence nobody else stands on, and their files. Does not belong
here: how long what is kept (`fleet.yaml`), messages and costs, which are never deleted.

A document that something else of the platform refers to, beyond its message and its cost, is kept: it is not the
archive's alone.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

_DUE = "select id, evidence_digest from ops.documents where kind = %s and period_end < %s order by id"
_LOOSEN = (
    "update ops.outbox set document_id = null where document_id = %s",
    "update ops.token_ledger set document_id = null where document_id = %s",
)
# Evidence without a document is kept too while it is young: its document may be in the making.
_ORPHANS = """
delete from ops.evidence_bundles as bundles
where kind = %s and period_end < %s
    and not exists (select from ops.documents where documents.evidence_digest = bundles.digest)
"""
_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2})\.[a-z]+$")


def forget(connection: psycopg.Connection[Any], name: str, evidence_kind: str, before: date) -> int:
    """Delete the documents of job `name` whose period ended before `before`, and evidence of `evidence_kind` that no
    document stands on any more. Returns how many documents are gone. Does not commit."""
    import psycopg.errors

    gone = 0
    for number, _ in connection.execute(_DUE, (name, before)).fetchall():
        try:
            with connection.transaction():
                for statement in _LOOSEN:
                    connection.execute(statement, (number,))
                connection.execute("delete from ops.documents where id = %s", (number,))
        except psycopg.errors.ForeignKeyViolation:
            continue
        gone += 1
    connection.execute(_ORPHANS, (evidence_kind, before))
    return gone


def forget_files(folder: Path, name: str, before: date) -> int:
    """Delete the files of job `name` for periods that ended before `before`: a file is named by the day after its
    period. Returns how many."""
    gone = 0
    for path in folder.glob(f"{name}-*"):
        dated = _DATED.search(path.name)
        if dated is None or path.name != f"{name}{dated.group()}":
            continue
        if date.fromisoformat(dated.group(1)) - timedelta(days=1) < before:
            path.unlink()
            gone += 1
    return gone

"""What messages carry: files kept once, by what is in them.

Belongs here: keeping a file in the caller's transaction, the reference a payload has to it, reading it back, forgetting
what no waiting message carries. Does not belong here: making files (`ops_platform.documents`), a vendor's limits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.delivery.outbox import wall_clock
from ops_platform.failures import DataFailure, PermanentFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    import psycopg

_TYPES = {
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "png": "image/png",
    "csv": "text/csv",
    "md": "text/markdown",
    "txt": "text/plain",
}
_UNUSED = """
delete from ops.files
where created_at < %(before)s
    and not exists (
        select from ops.outbox
        where outbox.state not in ('sent', 'failed') and outbox.payload::text like '%%' || files.sha256 || '%%'
    )
"""


@dataclass(frozen=True, slots=True)
class Carried:
    """A file of a message. `inline` is the id by which the message's own HTML shows it (an e-mail's picture)."""

    name: str
    sha256: str
    size: int
    type: str
    inline: str = ""

    def reference(self) -> dict[str, Any]:
        """As a payload names it."""
        shown = {"inline": True, "cid": self.inline} if self.inline else {}
        return {"name": self.name, "sha256": self.sha256, "size": self.size, "type": self.type, **shown}


def keep(conn: psycopg.Connection[Any], name: str, content: bytes, *, inline: str = "") -> Carried:
    """Keep `content` in the caller's transaction, once however many messages carry it.

    Raises `DataFailure` for an empty file and for a name that is a path or has an unknown ending."""
    ending = name.rsplit(".", 1)[-1].lower()
    if not content or "/" in name or "\\" in name or not name.isprintable() or ending not in _TYPES:
        raise DataFailure(f"{name!r} is no file that a message may carry ({', '.join(_TYPES)}; not empty)")
    digest = hashlib.sha256(content).hexdigest()
    conn.execute(
        "insert into ops.files (sha256, content, created_at) values (%s, %s, %s)"
        " on conflict (sha256) do update set created_at = excluded.created_at",
        (digest, content, wall_clock()),
    )
    return Carried(name, digest, len(content), _TYPES[ending], inline)


def carried_by(payload: Mapping[str, Any]) -> list[Carried]:
    """The files a payload names, in order."""
    return [
        Carried(item["name"], item["sha256"], int(item["size"]), item["type"], item.get("cid", ""))
        for item in payload.get("files") or ()
    ]


def contents(connect: Callable[[], psycopg.Connection[Any]], files: Sequence[Carried]) -> list[bytes]:
    """The bytes of `files`, in order. Opens a connection of its own.

    Raises `PermanentFailure` where one is not kept any more: nothing else is sent in its place."""
    conn = connect()
    try:
        rows = conn.execute(
            "select sha256, content from ops.files where sha256 = any(%s)", ([file.sha256 for file in files],)
        ).fetchall()
    finally:
        conn.close()
    found = {digest: bytes(content) for digest, content in rows}
    missing = [file.name for file in files if file.sha256 not in found]
    if missing:
        raise PermanentFailure(f"not kept any more: {', '.join(missing)}")
    return [found[file.sha256] for file in files]


def forget_unused(conn: psycopg.Connection[Any], older_than: timedelta) -> int:
    """Delete files kept before so long ago that no waiting message carries. How many. Does not commit."""
    return conn.execute(_UNUSED, {"before": wall_clock() - older_than}).rowcount

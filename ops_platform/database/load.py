"""Bulk load of raw records: COPY into a staging table, then one merge by primary key.

Belongs here: moving records into `raw_<vendor>.<stream>` fast and exactly, and soft deletes bounded by
the shrink guard. Does not belong here: where records come from, cursors and receipts
(`ops_platform.ingestion.sync`).

Shapes: a record is an id, a JSON object and the vendor's own update time. An unchanged payload writes
nothing; an older version never replaces a newer one; a row that PostgreSQL refuses is handed back with
the reason and never blocks its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure
from ops_platform.records import JsonObject, Record, Rejected

if TYPE_CHECKING:
    import psycopg

BATCH_RECORDS = 2_000
# Sent as soon as it is this large: more bytes in hand make no COPY faster.
BATCH_BYTES = 256 * 1024
# In pieces, because the driver's library keeps what it was given until the server has taken it.
PIECE_BYTES = 64 * 1024
LARGEST_DELETE_SHARE = 0.05
SMALLEST_DELETE_ALLOWANCE = 2
_NUL_ESCAPE = b"\\u0000"


@dataclass(slots=True)
class MergeCounts:
    """What one merge did. `distinct` is the number of different ids staged."""

    distinct: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0


class StagedLoad:
    """The load of one stream through one session. The connection must be in autocommit mode.

    Batches are staged in short transactions (a session-temporary table), so paging through a slow API
    holds no snapshot open; only `merge` writes the raw table, inside the caller's transaction."""

    def __init__(self, connection: psycopg.Connection[Any], vendor: str, stream: str, sync_id: int) -> None:
        from psycopg import sql

        self.connection = connection
        self.sync_id = sync_id
        self.stripped_nul = 0
        self._vendor = vendor
        self._stream = stream
        self.staged = 0
        self._target = sql.Identifier(f"raw_{vendor}", stream)
        # The batch as COPY takes it, and how many rows it has.
        self._batch = bytearray()
        self._rows = 0
        connection.execute("drop table if exists pg_temp.incoming")
        # Payloads wait as text: rows that turn out unchanged are never parsed into jsonb.
        connection.execute(
            "create temporary table incoming (position bigint generated always as identity, id text not null,"
            " updated_at timestamptz, payload_hash bytea not null, payload text not null)"
        )

    def add(self, records: Iterable[Record]) -> list[Rejected]:
        """Stage records; returns those that cannot be stored at all, with the reason."""
        rejected: list[Rejected] = []
        batch, rows = self._batch, self._rows
        # Neighbours share their time, and often the very object.
        moment: datetime | None = None
        updated = rb"\N"
        for record in records:
            try:
                encoded = self._encode(record.payload)
                identity = record.id.encode("utf-8")
            except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as error:
                rejected.append(
                    Rejected("not_json", f"cannot be written as JSON: {error}", ascii(record.payload), record.id)
                )
                continue
            if not identity or b"\x00" in identity:
                rejected.append(Rejected("missing_id", "the id is empty or has a NUL", encoded.decode(), None))
                continue
            if record.updated_at is not moment:
                moment = record.updated_at
                updated = moment.astimezone(UTC).isoformat().encode() if moment else rb"\N"
            batch += b"%b\t%b\t\\\\x%b\t%b\n" % (
                identity if identity.isalnum() else _copy_escape(identity),
                updated,
                blake2b(encoded, digest_size=16).hexdigest().encode(),
                encoded.replace(b"\\", b"\\\\") if b"\\" in encoded else encoded,
            )
            rows += 1
            if rows >= BATCH_RECORDS or len(batch) >= BATCH_BYTES:
                self._rows = rows
                self._flush()
                rows = 0
        self._rows = rows
        return rejected

    def _encode(self, payload: JsonObject) -> bytes:
        encoded = _dumped(payload)
        if _NUL_ESCAPE in encoded:
            # jsonb cannot hold U+0000. The escape may also be a literal backslash followed by u0000,
            # so look at the strings themselves.
            cleaned, stripped = _without_nul(payload)
            if stripped:
                self.stripped_nul += stripped
                encoded = _dumped(cleaned)
        return encoded

    def _flush(self) -> None:
        if not self._rows:
            return
        statement = "copy pg_temp.incoming (id, updated_at, payload_hash, payload) from stdin"
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy, memoryview(self._batch) as batch:
            for start in range(0, len(batch), PIECE_BYTES):
                copy.write(batch[start : start + PIECE_BYTES])
            failpoint("load.copying")
        self.staged += self._rows
        self._batch.clear()
        self._rows = 0

    def finish_staging(self) -> None:
        """Send what is still in hand and let the planner know how much was staged."""
        self._flush()
        self.connection.execute("analyze pg_temp.incoming")

    def merge(self, now: datetime) -> tuple[MergeCounts, list[Rejected]]:
        """Merge what was staged into the raw table, in the caller's open transaction.

        Rows PostgreSQL cannot parse are taken out of the staging table and returned."""
        import psycopg.errors

        poison: list[Rejected] = []
        try:
            with self.connection.transaction():
                counts = self._merge_rows(now)
        except (psycopg.errors.DataError, psycopg.errors.ProgramLimitExceeded):
            poison = self._take_out_poison()
            with self.connection.transaction():
                counts = self._merge_rows(now)
        return counts, poison

    def _merge_rows(self, now: datetime) -> MergeCounts:
        from psycopg import sql

        if (first := self._first_rows(now)) is not None:
            return first
        row = self.connection.execute(
            sql.SQL(
                """
                with latest as (
                    select distinct on (id) id, updated_at, payload_hash, payload
                    from pg_temp.incoming
                    order by id, updated_at desc nulls last, position desc
                ), changed as (
                    select latest.* from latest
                    left join {target} as landed using (id)
                    where landed.id is null
                       or ((landed.payload_hash <> latest.payload_hash or landed.deleted_at is not null)
                           and (landed.updated_at is null or latest.updated_at is null
                                or latest.updated_at >= landed.updated_at))
                ), merged as (
                    insert into {target} as landed
                        (id, payload, updated_at, payload_hash, first_seen_at, last_seen_at, sync_id)
                    select id, payload::jsonb, updated_at, payload_hash, %(now)s, %(now)s, %(sync)s from changed
                    on conflict (id) do update set
                        payload = excluded.payload, updated_at = excluded.updated_at,
                        payload_hash = excluded.payload_hash, last_seen_at = excluded.last_seen_at,
                        sync_id = excluded.sync_id, deleted_at = null
                    returning (xmax = 0) as inserted
                )
                select (select count(*) from latest),
                       count(*) filter (where inserted), count(*) filter (where not inserted)
                from merged
                """
            ).format(target=self._target),
            {"now": now, "sync": self.sync_id},
        ).fetchone()
        assert row is not None
        distinct, inserted, updated = row
        return MergeCounts(distinct, inserted, updated, distinct - inserted - updated)

    def _first_rows(self, now: datetime) -> MergeCounts | None:
        """Fill a table that is empty with records none of which came twice; None where it is otherwise. Nothing is to
        be sorted or compared then, which costs as much again as the rows themselves."""
        from psycopg import sql

        row = self.connection.execute(
            sql.SQL(
                "select not exists (select 1 from {target})"
                " and not exists (select 1 from pg_temp.incoming group by id having count(*) > 1)"
            ).format(target=self._target)
        ).fetchone()
        if row is None or not row[0]:
            return None
        done = self.connection.execute(
            sql.SQL(
                "insert into {target} (id, payload, updated_at, payload_hash, first_seen_at, last_seen_at, sync_id)"
                " select id, payload::jsonb, updated_at, payload_hash, %(now)s, %(now)s, %(sync)s from pg_temp.incoming"
            ).format(target=self._target),
            {"now": now, "sync": self.sync_id},
        )
        # Autovacuum would come to it minutes later, and what reads it comes now.
        self.connection.execute(sql.SQL("analyze {target} (id, updated_at)").format(target=self._target))
        return MergeCounts(distinct=done.rowcount, inserted=done.rowcount)

    def _take_out_poison(self) -> list[Rejected]:
        """Find the staged rows whose text is not acceptable as jsonb, halving the range until each is alone."""
        import psycopg.errors

        found: list[Rejected] = []
        first, last = self.connection.execute(
            "select min(position), max(position) from pg_temp.incoming"
        ).fetchone() or (
            0,
            -1,
        )
        ranges = [(first, last)]
        while ranges:
            low, high = ranges.pop()
            try:
                with self.connection.transaction():
                    self.connection.execute(
                        "select count(payload::jsonb) from pg_temp.incoming where position between %s and %s",
                        (low, high),
                    )
            except (psycopg.errors.DataError, psycopg.errors.ProgramLimitExceeded) as error:
                if low < high:
                    middle = (low + high) // 2
                    ranges += [(low, middle), (middle + 1, high)]
                    continue
                row = self.connection.execute(
                    "delete from pg_temp.incoming where position = %s returning id, payload", (low,)
                ).fetchone()
                assert row is not None
                found.append(Rejected("not_storable", error.diag.message_primary or str(error), row[1], row[0]))
        return found

    def soft_delete_missing(self, now: datetime, *, allow_shrink: bool = False) -> int:
        """Mark the live rows whose ids were not staged, after a listing that was read to its end. Rows that this
        very sync brought are spared: a listing may lag behind what was read beside it.

        Raises `DataFailure` and deletes nothing when more would go than the shrink guard allows."""
        from psycopg import sql

        live, missing, staged = self.connection.execute(
            sql.SQL(
                # A join, not "count where not exists": that looks through the whole listing once for every row.
                "select count(*), count(*) filter (where listed.id is null and sync_id <> %(sync)s),"
                " (select count(*) from pg_temp.incoming) from {target} as landed"
                " left join (select distinct id from pg_temp.incoming) as listed using (id)"
                " where landed.deleted_at is null"
            ).format(target=self._target),
            {"sync": self.sync_id},
        ).fetchone() or (0, 0, 0)
        if not missing:
            return 0
        allowed = max(math.floor(live * LARGEST_DELETE_SHARE), SMALLEST_DELETE_ALLOWANCE)
        if not allow_shrink and (staged == 0 or missing > allowed):
            listing = "the listing, which is empty" if staged == 0 else f"the listing of {staged}"
            raise DataFailure(
                f"shrink guard: {missing} of {live} live rows are missing from {listing} (at most {allowed} may go "
                "at once). Nothing was deleted; if the source really shrank, approve it once with "
                f"`ops sync {self._vendor}.{self._stream} --sweep --allow-shrink`"
            )
        done = self.connection.execute(
            sql.SQL(
                "update {target} as landed set deleted_at = %(now)s, last_seen_at = %(now)s, sync_id = %(sync)s"
                " where deleted_at is null and sync_id <> %(sync)s"
                " and not exists (select 1 from pg_temp.incoming where incoming.id = landed.id)"
            ).format(target=self._target),
            {"now": now, "sync": self.sync_id},
        )
        return done.rowcount

    def revive(self, now: datetime) -> int:
        """Take back the deletion of rows whose ids were staged: the vendor still has them, so an earlier listing
        or message was wrong. What this very sync deleted stays deleted."""
        from psycopg import sql

        done = self.connection.execute(
            sql.SQL(
                "update {target} as landed set deleted_at = null, last_seen_at = %(now)s, sync_id = %(sync)s"
                " where deleted_at is not null and sync_id <> %(sync)s"
                " and exists (select 1 from pg_temp.incoming where incoming.id = landed.id)"
            ).format(target=self._target),
            {"now": now, "sync": self.sync_id},
        )
        return done.rowcount

    def soft_delete(self, ids: Sequence[str], now: datetime) -> int:
        """Mark rows the vendor itself reported as deleted."""
        from psycopg import sql

        done = self.connection.execute(
            sql.SQL(
                "update {target} set deleted_at = %(now)s, last_seen_at = %(now)s, sync_id = %(sync)s"
                " where id = any(%(ids)s) and deleted_at is null"
            ).format(target=self._target),
            {"now": now, "sync": self.sync_id, "ids": list(ids)},
        )
        return done.rowcount

    def soft_delete_orphans(self, parent_key: str, gone_parents: Sequence[str], now: datetime) -> int:
        """Mark rows whose parent was re-read whole without them, or was deleted.

        `parent_key` is the payload's key of the parent. Finds its rows by an index made on first use."""
        from psycopg import sql

        key, index = sql.Literal(parent_key), f"{self._stream}_by_parent"
        made = self.connection.execute(
            "select exists (select 1 from pg_indexes where schemaname = %s and indexname = %s)",
            (f"raw_{self._vendor}", index),
        ).fetchone()
        if made is None or not made[0]:
            self.connection.execute(
                sql.SQL("create index if not exists {index} on {target} ((payload ->> {key}))").format(
                    index=sql.Identifier(index), target=self._target, key=key
                )
            )
            # How many rows a parent has is told by nothing else, and decides between the index and the whole table.
            self.connection.execute(sql.SQL("analyze {target}").format(target=self._target))
        done = self.connection.execute(
            sql.SQL(
                # Joins, not "in" and "not exists": beside an "or" those look through what was staged once for every
                # row there is, 22 seconds for 3,000 of 250,000.
                "with parents as materialized ("
                "   select payload::jsonb ->> {key} as parent from pg_temp.incoming"
                "   union select unnest(%(gone)s::text[])"
                " ), listed as (select distinct id from pg_temp.incoming),"
                " orphans as ("
                "   select landed.id from parents join {target} as landed on landed.payload ->> {key} = parents.parent"
                "   left join listed on listed.id = landed.id"
                "   where landed.deleted_at is null and (listed.id is null or parents.parent = any(%(gone)s)))"
                " update {target} as landed set deleted_at = %(now)s, last_seen_at = %(now)s, sync_id = %(sync)s"
                " from orphans where landed.id = orphans.id"
            ).format(target=self._target, key=key),
            {"now": now, "sync": self.sync_id, "gone": list(gone_parents)},
        )
        return done.rowcount

    def close(self) -> None:
        """Drop the staging table."""
        self.connection.execute("drop table if exists pg_temp.incoming")


def _dumped(payload: JsonObject) -> bytes:
    """`payload` as JSON with its keys in order: the same object is the same bytes."""
    try:
        return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Looking out for keys that are not text costs a fifth more, and JSON that was read has none.
        return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def _copy_escape(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\r", b"\\r")


def _without_nul(value: Any) -> tuple[Any, int]:
    """`value` with U+0000 taken out of every string and key, and how many were taken out."""
    if isinstance(value, str):
        return (value.replace("\x00", ""), value.count("\x00")) if "\x00" in value else (value, 0)
    if isinstance(value, dict):
        total, cleaned = 0, {}
        for key, item in value.items():
            clean_key, in_key = _without_nul(key)
            clean_item, in_item = _without_nul(item)
            cleaned[clean_key] = clean_item
            total += in_key + in_item
        return cleaned, total
    if isinstance(value, list):
        pairs = [_without_nul(item) for item in value]
        return [item for item, _ in pairs], sum(count for _, count in pairs)
    return value, 0

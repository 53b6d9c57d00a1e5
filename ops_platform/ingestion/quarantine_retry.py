"""Trying again what is in quarantine: the checks of the present code on the payloads that were kept.

Belongs here: landing what passes now, saying what remains. Does not belong here: the checks (the vendor's client,
`recheck`), the tables of quarantine (`quarantine.py`).

One transaction a stream: what passes is landed and resolved together, or nothing is. A second run finds nothing to
do. A kept version never replaces a newer one, and does not bring back what was deleted since. The receipt is one of
kind "retry" in `ops.sync_runs`, where received = inserted + updated + unchanged + duplicates + quarantined holds too.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ops_platform.database.load import StagedLoad
from ops_platform.failpoints import failpoint
from ops_platform.ingestion import quarantine, receipts
from ops_platform.ingestion.contract import Record, Rejected, Stream, SyncResult, UnderWay, VendorSource
from ops_platform.ingestion.tying_out import tie_out_or_doubt

if TYPE_CHECKING:
    import psycopg

# Reasons the loader itself gives: what was kept is the record as it would have landed.
_LOADERS_OWN = frozenset({"not_storable"})


@dataclass(slots=True)
class RetryResult:
    """What became of one stream's quarantine. `landed` + `superseded` + `remaining` = `tried`."""

    vendor: str
    stream: str
    status: str = "succeeded"
    tried: int = 0
    landed: int = 0
    superseded: int = 0
    remaining: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    tie_out: str = "not_checked"


def retry(
    connection: psycopg.Connection[Any],
    source: VendorSource,
    stream: Stream,
    *,
    now: datetime,
    today: date,
    reason: str | None = None,
    which: str | None = None,
) -> RetryResult:
    """Check the stream's open entries again and land those that pass. `connection` is in autocommit mode.

    A record kept in several versions is tried in its latest one; the others are settled with it."""
    result = RetryResult(stream.vendor, stream.name)
    if not receipts.lock(connection, stream):
        result.status, result.error = "skipped", f"a sync of {stream.vendor}.{stream.name} is running: try again later"
        return result
    try:
        entries = quarantine.find(
            connection, vendor=stream.vendor, stream=stream.name, reason=reason, which=which, with_raw=True
        )
        result.tried = len(entries)
        if entries:
            _retry(connection, source, stream, entries, result, now, today)
    finally:
        receipts.unlock(connection, stream)
    return result


def _retry(
    connection: psycopg.Connection[Any],
    source: VendorSource,
    stream: Stream,
    entries: list[quarantine.Kept],
    result: RetryResult,
    now: datetime,
    today: date,
) -> None:
    started = time.monotonic()
    receipt = SyncResult(stream.vendor, stream.name, pages=1, received=len(entries))
    sync_id = receipts.open_receipt(connection, stream, None, now, kind="retry")
    load = StagedLoad(connection, stream.vendor, stream.name, sync_id)
    try:
        newest, older = _versions(entries)
        passed: dict[str, quarantine.Kept] = {}
        refused: dict[int, Rejected] = {}
        settled: list[int] = []
        for entry in newest:
            outcome = _checked(source, stream, entry, now)
            if isinstance(outcome, Rejected):
                refused[entry.id] = outcome
            elif outcome.id in passed or _overtaken(connection, stream, outcome, entry):
                settled.append(entry.id)
            elif cannot := load.add([outcome]):
                refused[entry.id] = cannot[0]
            else:
                passed[outcome.id] = entry
        load.finish_staging()
        failpoint("quarantine.checked")
        with connection.transaction():
            counts, poison = load.merge(now)
            for item in poison:
                entry = passed.pop(str(item.id))
                refused[entry.id] = item
            done = {entry.record_id for entry in passed.values() if entry.record_id is not None}
            gone = {entry.record_id for entry in newest if entry.id in set(settled)}
            for entry in older:
                # A version before one that is settled now has nothing left to say.
                if entry.record_id in done | gone:
                    settled.append(entry.id)
                else:
                    refused[entry.id] = Rejected(entry.reason, entry.detail, "", entry.record_id)
            _resolve(connection, [entry.id for entry in passed.values()], "landed by retry", now)
            _resolve(connection, settled, "superseded", now)
            for number, item in refused.items():
                connection.execute(
                    "update ops.quarantine set reason = %s, detail = %s where id = %s",
                    (item.reason, item.detail.replace("\x00", "\\0")[:2000], number),
                )
            receipt.inserted, receipt.updated, receipt.unchanged = counts.inserted, counts.updated, counts.unchanged
            receipt.duplicates, receipt.quarantined = len(settled), len(refused)
            failpoint("quarantine.landed")
            receipts.write_counts(connection, sync_id, receipt)
        result.landed, result.superseded, result.remaining = len(passed), len(settled), len(refused)
        result.reasons = dict(Counter(item.reason for item in refused.values()).most_common())
        if passed:
            # The verdict of the days that changed is asked for anew; a cursor says that not all days are.
            receipt.cursor_before = "retry"
            tie_out_or_doubt(UnderWay(connection, source, stream, sync_id, receipt, now), today)
            receipt.cursor_before = None
            result.tie_out, result.error = receipt.tie_out, receipt.error
    except Exception as error:
        receipt.status, receipt.error = "failed", f"{type(error).__name__}: {error}"
        result.status, result.error = receipt.status, receipt.error
        result.landed = result.superseded = 0
        result.remaining = len(entries)
    finally:
        if not connection.closed:
            load.close()
            receipt.duration_seconds = time.monotonic() - started
            receipts.close_receipt(connection, sync_id, receipt)


def _versions(entries: list[quarantine.Kept]) -> tuple[list[quarantine.Kept], list[quarantine.Kept]]:
    """The latest version of each record, and the versions before. Entries come with the latest first."""
    newest: list[quarantine.Kept] = []
    older: list[quarantine.Kept] = []
    seen: set[str] = set()
    for entry in entries:
        if entry.record_id is not None and entry.record_id in seen:
            older.append(entry)
            continue
        if entry.record_id is not None:
            seen.add(entry.record_id)
        newest.append(entry)
    return newest, older


def _checked(source: VendorSource, stream: Stream, entry: quarantine.Kept, now: datetime) -> Record | Rejected:
    """The entry as a record, or why it still is none."""
    still = Rejected(entry.reason, entry.detail, "", entry.record_id)
    try:
        payload = json.loads(str(entry.raw), parse_int=_exact_integer)
    except (ValueError, RecursionError):
        return still
    if not isinstance(payload, dict):
        return still
    if entry.reason in _LOADERS_OWN and entry.record_id is not None:
        return Record(entry.record_id, payload)
    recheck = getattr(source, "recheck", None)
    if recheck is None:
        return still
    page = recheck(stream, [payload], now=now)
    if len(page.records) == 1 and not page.rejected:
        return page.records[0]
    return page.rejected[0] if page.rejected else still


def _exact_integer(digits: str) -> int | str:
    if len(digits) > 20:
        return digits
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else digits


def _overtaken(connection: psycopg.Connection[Any], stream: Stream, record: Record, entry: quarantine.Kept) -> bool:
    """Whether what is landed under this id is newer than what was kept, or was deleted since."""
    row = connection.execute(
        f"select updated_at, last_seen_at, deleted_at from raw_{stream.vendor}.{stream.name} where id = %s".encode(),
        (record.id,),
    ).fetchone()
    if row is None:
        return False
    updated_at, last_seen_at, deleted_at = row
    if deleted_at is not None and deleted_at >= entry.last_seen_at:
        return True
    if updated_at is not None and record.updated_at is not None:
        return bool(updated_at > record.updated_at)
    return bool(last_seen_at > entry.last_seen_at)


def _resolve(connection: psycopg.Connection[Any], numbers: list[int], resolution: str, now: datetime) -> None:
    connection.execute(
        "update ops.quarantine set resolved_at = %s, resolution = %s where id = any(%s)", (now, resolution, numbers)
    )

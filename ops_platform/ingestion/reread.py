"""Days that do not tie out, read from the vendor once more and landed.

Belongs here: landing them. Does not belong here: which days those are and whether they tie out then (`tying_out.py`),
how a vendor is asked for a day (its client's `day_pages`).

What is landed is what a sync would land: the newest version of each record, what is refused in quarantine. A record
of ours that the vendor's day does not have is not deleted on that ground, for it may have moved to another day: that
is for the sweep to say, which looks at all ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date
from typing import TYPE_CHECKING

from ops_platform.database.load import StagedLoad
from ops_platform.failpoints import failpoint
from ops_platform.garbage import rarely_collecting
from ops_platform.ingestion import quarantine, receipts, schema_drift
from ops_platform.ingestion.contract import UnderWay, VendorSource

if TYPE_CHECKING:
    pass


def can_read_days(source: VendorSource) -> bool:
    return hasattr(source, "day_pages")


def land_days(sync: UnderWay, days: Sequence[date]) -> None:
    """Read `days` whole and land them in one transaction with their counts in the receipt. Raises what the vendor's
    client raises; then nothing was landed and `result` is as it was."""
    connection, source, stream, sync_id = sync.connection, sync.source, sync.stream, sync.id
    result, now = sync.result, sync.now
    after = replace(result, reread_days=sorted(days))
    load = StagedLoad(connection, stream.vendor, stream.name, sync_id)
    keys: dict[str, str] = getattr(source, "parent_keys", {})
    parent_key = keys.get(stream.name)
    shape = schema_drift.load_shape(connection, stream, [parent_key] if parent_key is not None else [])
    received = quarantined = 0
    try:
        with rarely_collecting():
            for page in source.day_pages(stream, days, now=now):  # type: ignore[attr-defined]
                after.pages += 1
                after.api_cost += page.api_cost
                received += page.received
                shape.see_refused(len(page.records), page.rejected)
                shape.raise_if_paused()
                refused = [*page.rejected, *load.add(page.records)]
                if refused:
                    quarantine.keep(connection, stream.vendor, stream.name, sync_id, refused, now)
                quarantined += len(refused)
                # A day that came otherwise than the rest lands no more than a sync of it would.
                shape.see(page.records)
                shape.raise_if_paused()
                del page, refused
        load.finish_staging()
        failpoint("sync.reread_staged")
        with connection.transaction():
            counts, poison = load.merge(now)
            if poison:
                quarantine.keep(connection, stream.vendor, stream.name, sync_id, poison, now)
                quarantined += len(poison)
            quarantine.resolve_arrived(connection, stream.vendor, stream.name, now)
            if parent_key is not None:
                after.deleted += load.soft_delete_orphans(parent_key, [], now)
            after.received += received
            after.inserted += counts.inserted
            after.updated += counts.updated
            after.unchanged += counts.unchanged
            after.quarantined += quarantined
            after.duplicates += received - quarantined - counts.distinct
            after.stripped_nul += load.stripped_nul
            failpoint("sync.mid_reread")
            receipts.write_counts(connection, sync_id, after)
        failpoint("sync.after_reread")
    finally:
        load.close()
    for each in fields(after):
        setattr(result, each.name, getattr(after, each.name))

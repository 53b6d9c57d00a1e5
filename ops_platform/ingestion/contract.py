"""What a connector and the loading layer say to each other.

Belongs here: the plain values that cross the seam between a vendor client (`resources/<vendor>.py`)
and the loader (`ops_platform.ingestion.sync`). Does not belong here: HTTP, SQL, vendor names.

A vendor client declares its `Stream`s and implements `VendorSource`. The loader asks it for pages
since a cursor, lands them, and asks it for control totals to tie the landed rows out against.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.records import JsonObject, Record, Rejected

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "ControlTotal",
    "Field",
    "JsonObject",
    "LandedQuery",
    "Page",
    "Probe",
    "Record",
    "Rejected",
    "Stream",
    "SyncResult",
    "UnderWay",
    "VendorSource",
]


JSON_TYPES = ("null", "boolean", "number", "string", "object", "array")


@dataclass(frozen=True, slots=True)
class Field:
    """What a stream expects at one path of its payloads: JSON types separated by `|`, such as "string|null".

    `required`: the field is in every record (it may be null where the types say so). A field that is not required
    may be absent, from one record or from all."""

    types: str
    required: bool = True

    def __post_init__(self) -> None:
        unknown = set(self.names) - set(JSON_TYPES)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not a JSON type ({', '.join(JSON_TYPES)})")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.types.split("|"))


@dataclass(frozen=True, slots=True)
class Stream:
    """One entity of one vendor, landed in `raw_<vendor>.<name>`.

    `cursor_ascending` is true only where the API returns records in ascending cursor order, so that a
    checkpoint inside a run is safe. `look_back` is re-read before the cursor at every sync.
    `full_refresh` streams have no cursor: every sync reads the whole entity, and rows that no longer
    appear are soft-deleted (bounded by the shrink guard).

    A stream that does not tie out says in `no_tie_out` what is lacking to compare it with.

    `fields` declares what payloads look like: path → `Field`, a path as `customer.id` or, for what is in a list,
    `lineItems[].quantity`. What is not declared is learned from the payloads seen
    (`ops_platform.ingestion.schema_drift`).
    """

    vendor: str
    name: str
    description: str
    cursor_ascending: bool = False
    look_back: timedelta = timedelta(0)
    full_refresh: bool = False
    ties_out: bool = False
    no_tie_out: str = ""
    grain: str = "one row per record"
    fields: Mapping[str, Field] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a stream. `received` counts everything the vendor sent: `records` + `rejected`.
    `cursor` is the largest cursor value seen in this page (an ISO timestamp or a key), or None.
    `api_cost` is in the vendor's own unit (query points, requests)."""

    records: Sequence[Record]
    rejected: Sequence[Rejected] = ()
    cursor: str | None = None
    api_cost: Decimal = Decimal(0)

    @property
    def received(self) -> int:
        return len(self.records) + len(self.rejected)


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """What the vendor says it holds for one entity and day (in the shop's own zone).
    `amount` is None where the vendor offers no sum. `day` is None for a whole-entity count."""

    entity: str
    day: date | None
    count: int
    amount: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What one endpoint of a vendor answered when it was asked for something known, for `ops doctor`.

    `endpoint` is a name a person knows ("credentials", "orders"). `said` tells what was seen ("2 of 2 known
    orders", "403: the scope crm.objects.deals.read is missing"); `remedy` what to do about it, empty when `ok`.
    `streams` are the streams that cannot be read while it fails. `excess` is what the credential may do beyond what we
    need: everything works, and less would be safer."""

    endpoint: str
    ok: bool
    said: str
    remedy: str = ""
    streams: tuple[str, ...] = ()
    excess: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LandedQuery:
    """SQL that yields the landed side of a tie-out: columns (day date, count bigint, amount numeric).
    It may use `%(days)s` (date[]) as a parameter and must read only the stream's raw tables.
    `day_expression` is the SQL expression for the day of one raw row (columns of the raw table only), so
    that the loader can find the days a sync touched; None where every check is of the whole entity.
    `zone` is the IANA zone in which the vendor's days begin: a day is compared when it is over there, too. None is
    the company's own."""

    entity: str
    sql: str
    day_expression: str | None = None
    zone: str | None = None


class VendorSource(Protocol):
    """A connected vendor. Built from settings by its resource; opens no connection until first used.

    A source may also have, and the loader uses where it does:
    `living_ids(stream) -> Iterator[str]`: every id the vendor has now, raising rather than ending early;
    `side_by_side`: names of streams that may be read at once, from threads, once those declared before them are read;
    `unswept`: names of streams whose records stay though nothing lists them any more (history, reports);
    `deletions(since) -> Iterator[tuple[str, str]]`: (stream, id) of what the vendor says was deleted;
    `reached(stream) -> datetime | None`: up to when the read that just ended is whole, where it ended at its time
    budget and goes on at the next sync; `fresh_to` then says that and no more;
    `parent_keys` with `deleted_parents(stream, since)`: lines that live and die with their document;
    `day_pages(stream, days, *, now) -> Iterator[Page]`: every record of these days, as `landed_query` tells days, read
    apart from cursors and whole, for days that do not tie out; of a stream that ties out by day;
    `recheck(stream, payloads, *, now) -> Page`: the checks of `pages` on objects kept in quarantine, asking the
    vendor nothing; records and rejections together are as many as the payloads, rejections with the reason of today."""

    vendor: str
    streams: dict[str, Stream]

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield the pages of `stream` changed since `cursor` less the stream's look-back; all of it when None.

        Raises `ops_platform.failures.PermanentFailure` or `TransientFailure`; never returns a partial
        listing as if it were whole."""
        ...

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> Sequence[ControlTotal]:
        """The vendor's own counts and sums for the days given (or the whole entity when None)."""
        ...

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        """How the landed side of the same totals is computed, or None where the stream does not tie out."""
        ...

    def probe(self) -> Iterator[Probe]:
        """Ask credentials and every endpoint for something known, cheapest first; raises nothing of the vendor's.
        When the credentials themselves are refused, that probe is the last."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


@dataclass(slots=True)
class SyncResult:
    """The receipt of one sync, as stored in `ops.sync_runs`. `status` is succeeded, failed, skipped (another sync
    of the stream is running) or paused (its payloads changed shape: a person decides). `unanswered` is true when
    the vendor did not answer within its retries, so that the caller can stop asking it. `sweep` says what became
    of the look for deleted records: not_due, done, or held with `held` as the reason; `revived` are rows that the
    vendor still has although they had been taken for deleted. `reread_days` did not tie out at first and were read
    again, `mended_days` are those of them that tie out since."""

    vendor: str
    stream: str
    status: str = "succeeded"
    pages: int = 0
    received: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    quarantined: int = 0
    deleted: int = 0
    stripped_nul: int = 0
    cursor_before: str | None = None
    cursor_after: str | None = None
    api_cost: Decimal = Decimal(0)
    duration_seconds: float = 0.0
    error: str | None = None
    unanswered: bool = False
    tie_out: str = "not_checked"
    touched_days: list[date] = field(default_factory=list)
    fresh_to: datetime | None = None
    sweep: str = "not_due"
    held: str | None = None
    revived: int = 0
    new_fields: tuple[str, ...] = ()
    reread_days: list[date] = field(default_factory=list)
    mended_days: list[date] = field(default_factory=list)

    @property
    def changed(self) -> int:
        return self.inserted + self.updated + self.deleted + self.revived


@dataclass(frozen=True, slots=True)
class UnderWay:
    """One sync of one stream while it lasts, for the steps it is made of. `id` is the receipt's, `now` the moment it
    began; `result` is filled as it goes."""

    connection: psycopg.Connection[Any]
    source: VendorSource
    stream: Stream
    id: int
    result: SyncResult
    now: datetime

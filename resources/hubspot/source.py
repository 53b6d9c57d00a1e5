"""HubSpot as a `VendorSource`: full and incremental reads, what is gone, tie-outs.

Belongs here: which records are asked for and what they are compared with. Does not belong here: HTTP and paging
(`client.py`), properties and checks (`objects.py`).

How a change is found. Records: a search by time of modification, ten minutes back, since the index follows late; a
first read takes the list instead and compares its length with what the search counts. Archived records are listed
apart, merged ones named by the record that swallowed them; what left without either shows in the sweep.
Stages: the history is read of every deal and ticket that was modified; rows once landed stay, because the vendor
forgets the oldest ones. Associations: making or removing one modifies neither record, so besides those of
modified records a part of all records is read again every day, in an account of moderate size all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject, Record, Rejected
from resources.hubspot.client import BATCH_LIMIT, HISTORY_LIMIT, HubSpotClient, Refused
from resources.hubspot.objects import (
    ASSOCIATIONS,
    KINDS,
    MERGED,
    OWNERS,
    PIPELINES,
    STAGE_HISTORY,
    STAGED,
    STREAMS,
    SURVEY_ANSWERS,
    VENDOR,
    Kind,
    check_association,
    check_object,
    check_owner,
    check_pipeline,
    check_transition,
    history,
    merged_away,
    modified_at,
    property_values,
    record_id,
    transition_id,
)
from resources.record_checks import INVALID_SHAPE, MISSING_FIELD, Flaw, moment, rejected, utc_text

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

# Of a larger account a seventh of the records is looked at again every day for associations that changed alone.
ROTATION_DAYS = 7
RECORDS_READ_WHOLE = 5_000
# So many days are asked for by search; for more of them the list is the shorter way.
DAYS_BY_SEARCH = 45
# A property that none of so many records has does not exist.
TELLING_PAGE = 20
VENDOR_ERROR = "vendor_error"
_SETTLING_SECONDS = 10.0


# Scopes that read although their names do not say so; `oauth` is in every token.
_READING = frozenset({"tickets", "oauth"})


class HubSpotSource:
    """An account behind `client`. Opens nothing until first used. `surveys`: whether the account has customer surveys;
    without them it has no stream of their answers."""

    vendor = VENDOR
    # The associations of a record are always read whole: a row of a record that was read and that did not come along
    # is gone. The value names the payload key of the record.
    parent_keys: ClassVar[dict[str, str]] = {"associations": "from"}
    # Not to be swept: past stages stay although the vendor forgets the oldest ones.
    unswept: ClassVar[frozenset[str]] = frozenset({"stage_history"})

    def __init__(
        self,
        client: HubSpotClient,
        *,
        records_read_whole: int = RECORDS_READ_WHOLE,
        rotation_days: int = ROTATION_DAYS,
        surveys: bool = False,
    ) -> None:
        self.client = client
        self.http = client.http
        self.streams: dict[str, Stream] = dict(STREAMS)
        if not surveys:
            del self.streams[SURVEY_ANSWERS.name]
        self.records_read_whole = records_read_whole
        self.rotation_days = rotation_days
        # Optional properties this account does not have, by kind: they stay unknown.
        self.absent: dict[str, tuple[str, ...]] = {}
        self._asked: dict[str, tuple[str, ...]] = {}
        self._unlisted: set[str] = set()
        self._gone: dict[str, set[str]] = {}
        self._gone_parents: set[str] = set()

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield the records modified since `cursor` less the look-back; all of them when it is None.

        The cost of a page is in requests. Raises `PermanentFailure` or `TransientFailure`."""
        since = min(datetime.fromisoformat(cursor), now) - stream.look_back if cursor is not None else None
        spent = self.client.cost
        if stream.name == OWNERS.name:
            reading = self._owners()
        elif stream.name == PIPELINES.name:
            reading = self._pipelines()
        elif stream.name == STAGE_HISTORY.name:
            reading = self._stage_history(since)
        elif stream.name == ASSOCIATIONS.name:
            reading = self._associations(since, now)
        else:
            reading = self._objects(KINDS[stream.name], since)
        for good, bad, latest in reading:
            # Records come by id over minutes; what changes meanwhile may be behind: never past the begin.
            at = utc_text(min(latest, now)) if latest is not None and not stream.full_refresh else None
            yield Page(good, bad, at, self.client.cost - spent)
            spent = self.client.cost

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        """Every living record created on these days in UTC, as the search finds them."""
        kind = KINDS[stream.name]
        asked = self._properties(kind)
        spent = self.client.cost
        for between in _spans(kind, days):
            for items in self.client.found(kind.name, between, asked):
                batch = _Landing()
                for item in items:
                    batch.take(item, partial(check_object, kind), _known_id(item))
                good, bad, _ = batch.done()
                yield Page(good, bad, None, self.client.cost - spent)
                spent = self.client.cost

    def _objects(self, kind: Kind, since: datetime | None) -> Iterator[_Batch]:
        asked = self._properties(kind)
        self._gone[kind.name] = set()
        read: set[str] = set()
        merged: set[str] = set()
        for items in self._items(kind, since, asked):
            batch = _Landing()
            if kind.name in self._unlisted and len(items) >= TELLING_PAGE:
                # A property that does not exist is left out of every record, without a word.
                self._all_there(kind, {name for item in items for name in _values(item) or ()})
            for item in items:
                record = batch.take(item, partial(check_object, kind), _known_id(item))
                if record is not None:
                    batch.at(record.updated_at)
                    if since is not None:
                        read.add(record.id)
                        merged |= merged_away(item)
            yield batch.done()
        if since is not None:
            # A record that answers is there, whatever another one says it swallowed.
            self._gone[kind.name] = (merged - read) | self._archived(kind)

    def _items(
        self, kind: Kind, since: datetime | None, properties: Sequence[str], *, history: str | None = None
    ) -> Iterator[list[Any]]:
        """All living records, or those modified since then, in pages."""
        if since is None:
            yield from self._listing(kind, properties, history=history)
        else:
            yield from self.client.found(kind.name, (_modified_since(kind, since),), properties)

    def _listing(
        self, kind: Kind, properties: Sequence[str], *, history: str | None = None, before: int | None = None
    ) -> Iterator[list[Any]]:
        """The whole list of living records. Raises when it turns out shorter than the search says it must be;
        `before` is what it said, if it was asked already."""
        if before is None:
            before = self.client.count(kind.name)
        seen: set[int] = set()
        for items in self.client.listing(kind.name, properties, history=history):
            for item in items:
                if isinstance(item, dict):
                    if item.get("archived") is True:
                        raise TransientFailure(f"hubspot: the list of {kind.name} holds archived records")
                    seen.add(_number(item.get("id")))
            yield items
        if len(seen) < before and len(seen) < self._counted_again(kind, len(seen)):
            raise TransientFailure(
                f"hubspot: the list of {kind.name} ended after {len(seen)} records; the search counts {before}"
            )

    def _counted_again(self, kind: Kind, seen: int) -> int:
        """The count after a listing that was short: records may have been archived meanwhile, and the index learns of
        it a little late."""
        count = self.client.count(kind.name)
        if count > seen:
            self.http.sleep(_SETTLING_SECONDS)
            count = self.client.count(kind.name)
        return count

    def _archived(self, kind: Kind) -> set[str]:
        """The ids of archived records, as long as the vendor keeps them."""
        found: set[str] = set()
        for items in self.client.listing(kind.name, ("hs_object_id",), archived=True):
            for item in items:
                if not isinstance(item, dict) or item.get("archived") is not True:
                    raise PermanentFailure(
                        f"hubspot: asked for archived {kind.name} and got others; nothing is deleted on that ground"
                    )
                found.add(str(item.get("id")))
        return found

    def _properties(self, kind: Kind) -> tuple[str, ...]:
        """The properties to ask for. Raises `PermanentFailure` when one is gone without which nothing can
        be read: asking for a property that does not exist is answered as if it were empty everywhere."""
        known = self._asked.get(kind.name)
        if known is not None:
            return known
        try:
            there = self.client.property_names(kind.name)
        except Refused as refused:
            if refused.status not in (403, 404):
                raise
            # Without that list what is missing shows in the records themselves: see `_objects`.
            log.warning("hubspot: the properties of %s cannot be listed: %s", kind.name, refused)
            self._unlisted.add(kind.name)
            self._asked[kind.name] = kind.properties
            return kind.properties
        self._all_there(kind, there)
        absent = tuple(name for name in (MERGED, *kind.optional) if name not in there)
        if absent:
            log.info("hubspot: %s: the account has no %s; it stays unknown", kind.name, ", ".join(absent))
        self.absent[kind.name] = absent
        # Those land as null.
        self._asked[kind.name] = tuple(name for name in kind.properties if name not in absent)
        return self._asked[kind.name]

    def _all_there(self, kind: Kind, names: Collection[str]) -> None:
        missing = [name for name in (*kind.essential, *kind.required) if name not in names]
        if missing:
            raise PermanentFailure(
                f"hubspot: {kind.name} no longer have the property {', '.join(missing)}: it was renamed or deleted. "
                "Nothing is read until it is back or the list in resources/hubspot/objects.py is changed"
            )

    # -- stages ---------------------------------------------------------------------------------------------

    def _stage_history(self, since: datetime | None) -> Iterator[_Batch]:
        for kind in STAGED:
            assert kind.stage is not None
            if kind.stage not in self._properties(kind):  # pragma: no cover - it is among the required
                continue
            properties = ("hs_object_id", kind.modified, kind.stage, MERGED)
            if since is None:
                for items in self._items(kind, None, properties, history=kind.stage):
                    yield self._transitions(kind, items, {})
                continue
            for ids in self._modified_ids(kind, since, HISTORY_LIMIT):
                answer = self.client.read(kind.name, ids, properties, history=kind.stage)
                yield self._transitions(kind, answer.found, answer.failed)

    def _transitions(self, kind: Kind, items: Sequence[Any], failed: dict[str, str]) -> _Batch:
        batch = _Landing()
        for item in items:
            try:
                entries = history(kind, item)
                batch.at(modified_at(kind, item, property_values(item)))
            except Flaw as flaw:
                batch.bad.append(rejected(item, flaw, f"{kind.name}:{_known_id(item)}"))
                continue
            for entry in entries:
                batch.take(entry, check_transition, transition_id(entry))
        for identity, words in failed.items():
            batch.bad.append(Rejected(VENDOR_ERROR, words, "{}", f"{kind.name}:{identity}"))
        return batch.done()

    def _modified_ids(self, kind: Kind, since: datetime, size: int) -> Iterator[list[str]]:
        waiting: list[str] = []
        for items in self.client.found(kind.name, (_modified_since(kind, since),), ("hs_object_id", kind.modified)):
            waiting += [str(item["id"]) for item in items]
            while len(waiting) >= size:
                yield waiting[:size]
                waiting = waiting[size:]
        if waiting:
            yield waiting

    # -- associations ---------------------------------------------------------------------------------------

    def _associations(self, since: datetime | None, now: datetime) -> Iterator[_Batch]:
        self._gone_parents = set()
        for kind in STAGED:
            properties = ("hs_object_id", kind.modified, MERGED)
            before = self.client.count(kind.name)
            ids: dict[str, None] = {}
            latest: datetime | None = None
            gone: set[str] = set()
            if since is None or before <= self.records_read_whole:
                reads = [self._listing(kind, properties, before=before)]
            else:
                reads = [self._items(kind, since, properties), self._rotating(kind, now, before)]
            for place, read in enumerate(reads):
                for items in read:
                    for item in items:
                        try:
                            ids[record_id(item)] = None
                            gone |= merged_away(item)
                            at = modified_at(kind, item, property_values(item))
                        except Flaw:
                            continue
                        if place == 0 and (latest is None or at > latest):
                            latest = at
            living = list(ids)
            for start in range(0, len(living), BATCH_LIMIT):
                batch, vanished = self._associated(kind, living[start : start + BATCH_LIMIT])
                gone |= vanished
                batch.at(latest)
                yield batch.done()
            if since is not None:
                self._gone_parents |= {
                    f"{kind.name}:{identity}" for identity in (gone - set(living)) | self._archived(kind)
                }

    def _rotating(self, kind: Kind, now: datetime, before: int) -> Iterator[list[Any]]:
        """The part of all records that is looked at again on this day."""
        part = now.toordinal() % self.rotation_days
        for items in self._listing(kind, ("hs_object_id", kind.modified), before=before):
            yield [item for item in items if _number(item.get("id")) % self.rotation_days == part]

    def _associated(self, kind: Kind, ids: Collection[str]) -> tuple[_Landing, set[str]]:
        """The rows of these records; a record without any is noted, so that earlier rows of it go."""
        batch = _Landing()
        gone: set[str] = set()
        rows = dict.fromkeys(ids, 0)
        for to_kind in kind.associated:
            found, vanished = self.client.associated(kind.name, to_kind, ids)
            gone |= vanished
            for identity, targets in found.items():
                rows[identity] = rows.get(identity, 0) + len(targets)
                of = {"from_type": kind.name, "from_id": identity, "to_type": to_kind}
                for target in targets:
                    known = f"{kind.name}:{identity}>{to_kind}:{target.get('toObjectId')}"
                    batch.take({**target, **of}, check_association, known)
        self._gone_parents |= {f"{kind.name}:{identity}" for identity, count in rows.items() if not count}
        return batch, gone

    # -- small tables ---------------------------------------------------------------------------------------

    def _owners(self) -> Iterator[_Batch]:
        """Owners, and those who left. Nothing says how many there are, so the lists are read a second time: one that
        was cut short would make colleagues disappear."""
        seen: set[str | None] = set()
        for archived in (False, True):
            for items in self.client.owners(archived=archived):
                batch = _Landing()
                for item in items:
                    seen.add(_known_id(item))
                    told = {**item, "archived": archived} if isinstance(item, dict) else item
                    batch.take(told, check_owner, _known_id(item))
                yield batch.done()
        again = {
            _known_id(item)
            for archived in (False, True)
            for items in self.client.owners(archived=archived)
            for item in items
        }
        if seen != again:
            raise TransientFailure(f"hubspot: the owners were listed twice, once {len(seen)} and once {len(again)}")

    def _pipelines(self) -> Iterator[_Batch]:
        for kind in STAGED:
            batch = _Landing()
            for item in self.client.pipelines(kind.name):
                told = {**item, "objectType": kind.name} if isinstance(item, dict) else item
                batch.take(told, check_pipeline, f"{kind.name}:{_known_id(item)}")
            yield batch.done()

    def recheck(self, stream: Stream, payloads: Sequence[Any], *, now: datetime) -> Page:
        """The checks of `pages` on records kept in quarantine; asks the vendor nothing. A record that came without its
        history is refused again: only the vendor has it."""
        checks: dict[str, Callable[[JsonObject], Record]] = {
            OWNERS.name: check_owner,
            PIPELINES.name: check_pipeline,
            STAGE_HISTORY.name: check_transition,
            ASSOCIATIONS.name: check_association,
            **{name: partial(check_object, kind) for name, kind in KINDS.items()},
        }
        batch = _Landing()
        for payload in payloads:
            batch.take(payload, checks[stream.name], _known_id(payload))
        good, bad, _ = batch.done()
        return Page(good, bad)

    # -- what is gone ---------------------------------------------------------------------------------------

    def deletions(self, since: datetime) -> Iterator[tuple[str, str]]:
        """(stream, id) of records that the last read of their stream found archived or merged into another."""
        for name, ids in self._gone.items():
            for identity in sorted(ids):
                yield name, identity

    def deleted_parents(self, stream: Stream, since: datetime) -> set[str]:
        """Records that are gone or were read again and are associated with nothing."""
        return set(self._gone_parents) if stream.name == ASSOCIATIONS.name else set()

    def living_ids(self, stream: Stream) -> Iterator[str]:
        """Every id the account has now, for finding what left without a trace. Raises rather than end early."""
        if stream.name in KINDS:
            kind = KINDS[stream.name]
            for items in self._listing(kind, ("hs_object_id",)):
                for item in items:
                    yield record_id(item)
        elif stream.name == ASSOCIATIONS.name:
            for good, _, _ in self._associations(None, datetime.now(UTC)):
                for record in good:
                    yield record.id
        else:
            raise PermanentFailure(f"hubspot: {stream.name} is not swept: it is read whole, or its records stay")

    # -- tie-out --------------------------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """By day of creation in UTC: how many living records there are, of deals also the sum of their amounts
        (each in its own currency).

        Asked apart from what landed: of some days by search, whose `total` says how many there are; of all days by a
        second reading of the list, whose length the search confirms. Owners and pipelines: how many a second listing
        has."""
        if stream.name in (OWNERS.name, PIPELINES.name):
            return [ControlTotal(stream.name, None, self._listed_again(stream))]
        kind = KINDS[stream.name]
        found: dict[date, tuple[int, Decimal]] = {}
        for items in self._created(kind, days):
            for item in items:
                day, amount = _created_on(kind, item)
                if day is not None:
                    count, total = found.get(day, (0, Decimal(0)))
                    found[day] = (count + 1, total + amount)
        wanted = sorted(found) if days is None else sorted(set(days))
        nothing = (0, Decimal(0))
        return [
            ControlTotal(kind.name, day, found.get(day, nothing)[0], found.get(day, nothing)[1] if kind.money else None)
            for day in wanted
        ]

    def _listed_again(self, stream: Stream) -> int:
        if stream.name == PIPELINES.name:
            return sum(len(self.client.pipelines(kind.name)) for kind in STAGED)
        return len(
            {
                item.get("id")
                for archived in (False, True)
                for items in self.client.owners(archived=archived)
                for item in items
                if isinstance(item, dict)
            }
        )

    def _created(self, kind: Kind, days: Sequence[date] | None) -> Iterator[list[Any]]:
        properties = ("hs_object_id", kind.created, *kind.money[:1])
        if days is None or len(set(days)) > DAYS_BY_SEARCH:
            yield from self._listing(kind, properties)
            return
        for between in _spans(kind, days):
            yield from self.client.found(kind.name, between, properties)

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        """The landed side of the same counts and sums."""
        if not stream.ties_out:
            return None
        if stream.name in (OWNERS.name, PIPELINES.name):
            whole = (
                "select null::date as day, count(*)::bigint as count, null::numeric as amount"
                f" from raw_hubspot.{stream.name} where deleted_at is null"
            )
            return LandedQuery(stream.name, whole)
        kind = KINDS[stream.name]
        created = f"payload->'properties'->>'{kind.created}'"
        day = f"(({created})::timestamptz at time zone 'UTC')::date"
        amount = f"coalesce(sum((payload->'properties'->>'{kind.money[0]}')::numeric), 0)" if kind.money else "0"
        sql = (
            f"select {day} as day, count(*)::bigint as count, {amount}::numeric as amount"
            f" from raw_hubspot.{kind.name} where deleted_at is null and {created} is not null"
            f" and (%(days)s::date[] is null or {day} = any(%(days)s::date[])) group by 1"
        )
        return LandedQuery(kind.name, sql, day, "UTC")

    # -- health ---------------------------------------------------------------------------------------------

    def probe(self) -> Iterator[Probe]:
        """Credentials, then every endpoint: a record of each kind is taken from the list and looked for by search and
        with its associations."""
        refused = self._credentials()
        yield refused or Probe("credentials", True, f"accepted, API version {self.client.paths.version}")
        if refused is not None:
            return
        yield from self._scopes()
        known: dict[str, str] = {}
        for kind in KINDS.values():
            if kind.name not in self.streams:
                yield Probe(kind.name, True, "not read: HUBSPOT_SURVEYS is false")
                continue
            streams = (kind.name, *((STAGE_HISTORY.name, ASSOCIATIONS.name) if kind.stage else ()))
            yield _probed(kind.name, streams, lambda: self._known_record(kind, known))  # noqa: B023
        for archived in (False, True):
            label = "former owners" if archived else "owners"
            yield _probed(label, (OWNERS.name,), lambda: _told(next(self.client.owners(archived=archived))))  # noqa: B023
        for kind in STAGED:
            yield _probed(
                f"pipelines of {kind.name}",
                (PIPELINES.name,),
                lambda: _told(self.client.pipelines(kind.name)),  # noqa: B023
            )
            if kind.name in known:
                yield _probed(
                    f"associations of {kind.name}",
                    (ASSOCIATIONS.name,),
                    lambda: self._known_associations(kind, known[kind.name]),  # noqa: B023
                )

    def _scopes(self) -> Iterator[Probe]:
        """What the token may do beyond reading; nothing where HubSpot does not tell (a token of another kind)."""
        try:
            granted = self.client.scopes()
        except OpsError:
            return
        # What reads (`….read`), and the two that have no reading part of their own.
        excess = sorted(scope for scope in granted if not scope.endswith((".read", "-read")) and scope not in _READING)
        yield Probe("scopes", True, f"{len(granted)} granted", excess=tuple(excess))

    def _credentials(self) -> Probe | None:
        """The probe that fails when the token itself is refused; a missing scope proves that the token is good."""
        try:
            self.client.get(self.client.paths.objects("contacts"), {"limit": 1}, lambda _: None)
        except Refused as refused:
            if refused.status == 403:
                return None
            remedy = "create or rotate the private app's access token and set HUBSPOT_TOKEN"
            if refused.status != 401:
                remedy = "check HUBSPOT_API_VERSION and HUBSPOT_BASE_URL"
            return Probe("credentials", False, str(refused), remedy, tuple(self.streams))
        except OpsError as error:
            return Probe("credentials", False, str(error), "try again later", tuple(self.streams))
        return None

    def _known_record(self, kind: Kind, known: dict[str, str]) -> str:
        self._properties(kind)
        asked = {"properties": ",".join(kind.filled)} if kind.filled else {}
        page = self.client.get(self.client.paths.objects(kind.name), {"limit": 1, **asked}, lambda _: None)
        results = page.get("results")
        if not isinstance(results, list) or not results:
            return "answers, and has no record"
        identity = record_id(results[0])
        empty = [name for name in kind.filled if property_values(results[0]).get(name) in (None, "")]
        if empty:
            raise Flaw(MISSING_FIELD, f"{', '.join(empty)} of {kind.name} {identity} is empty{kind.empty_means}")
        same = {"propertyName": "hs_object_id", "operator": "EQ", "value": identity}
        if not self.client.count(kind.name, (same,)):
            raise TransientFailure(f"hubspot: the search does not find {kind.name} {identity}, which the list holds")
        known[kind.name] = identity
        absent = self.absent.get(kind.name, ())
        return "1 of 1 known records found" + (f"; the account has no {', '.join(absent)}" if absent else "")

    def _known_associations(self, kind: Kind, identity: str) -> str:
        count = 0
        for to_kind in kind.associated:
            found, _ = self.client.associated(kind.name, to_kind, (identity,))
            count += len(found.get(identity, ()))
        return f"{count} of {kind.name[:-1]} {identity}"

    def close(self) -> None:
        self.http.close()


# -- pages --------------------------------------------------------------------------------------------------------

_Batch = tuple[list[Record], list[Rejected], "datetime | None"]


class _Landing:
    """What becomes of one page: records, refused ones, and the latest time of modification."""

    def __init__(self) -> None:
        self.good: list[Record] = []
        self.bad: list[Rejected] = []
        self.latest: datetime | None = None

    def take(self, item: Any, check: Callable[[JsonObject], Record], identity: str | None) -> Record | None:
        """Check one record; `identity` is the id of its row, for quarantine, as far as it is known."""
        try:
            if not isinstance(item, dict):
                raise Flaw(INVALID_SHAPE, "not an object")
            record = check(item)
        except Flaw as flaw:
            self.bad.append(rejected(item, flaw, identity))
            return None
        self.good.append(record)
        return record

    def at(self, moment: datetime | None) -> None:
        if moment is not None and (self.latest is None or moment > self.latest):
            self.latest = moment

    def done(self) -> _Batch:
        return self.good, self.bad, self.latest


# -- small parts --------------------------------------------------------------------------------------------------


def _modified_since(kind: Kind, since: datetime) -> JsonObject:
    return {"propertyName": kind.modified, "operator": "GTE", "value": _milliseconds(since)}


def _milliseconds(at: datetime) -> str:
    """A moment as searches want it: milliseconds since 1970, as text."""
    return str((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))


def _spans(kind: Kind, days: Sequence[date]) -> Iterator[tuple[JsonObject, JsonObject]]:
    """The filters of a search for each unbroken run of days of creation."""
    for first, last in _runs(days):
        start = datetime(first.year, first.month, first.day, tzinfo=UTC)
        end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
        yield (
            {"propertyName": kind.created, "operator": "GTE", "value": _milliseconds(start)},
            {"propertyName": kind.created, "operator": "LT", "value": _milliseconds(end)},
        )


def _created_on(kind: Kind, item: Any) -> tuple[date | None, Decimal]:
    """The day in UTC a record was created on, and its amount; nothing of a record that cannot be counted."""
    values = _values(item) or {}
    amount = values.get(kind.money[0]) if kind.money else None
    try:
        created = values.get(kind.created)
        day = moment(created, kind.created).astimezone(UTC).date() if created else None
        return day, Decimal(amount) if amount else Decimal(0)
    except (Flaw, InvalidOperation):
        return None, Decimal(0)


def _values(item: Any) -> JsonObject | None:
    values = item.get("properties") if isinstance(item, dict) else None
    return values if isinstance(values, dict) else None


def _runs(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """The first and last day of every unbroken run of days."""
    first: date | None = None
    previous: date | None = None
    for day in sorted(set(days)):
        if first is None or previous is None:
            first = day
        elif (day - previous).days > 1:
            yield first, previous
            first = day
        previous = day
    if first is not None and previous is not None:
        yield first, previous


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else -1


def _known_id(item: Any) -> str | None:
    value = item.get("id") if isinstance(item, dict) else None
    return str(value) if isinstance(value, str | int) and value else None


def _told(items: Sequence[Any]) -> str:
    return f"answers with {len(items)}" if items else "answers, and has none"


def _probed(endpoint: str, streams: tuple[str, ...], ask: Callable[[], str]) -> Probe:
    try:
        return Probe(endpoint, True, ask(), "", streams)
    except Refused as refused:
        remedy = (
            f"add the scope {' or '.join(refused.scopes)} to the private app and copy its token again"
            if refused.scopes
            else "see docs/connect/hubspot.md"
        )
        if endpoint == SURVEY_ANSWERS.name:
            remedy += "; where the account has none, set HUBSPOT_SURVEYS=false"
        return Probe(endpoint, False, str(refused), remedy, streams)
    except OpsError as error:
        return Probe(endpoint, False, str(error), "see docs/connect/hubspot.md", streams)
    except Flaw as flaw:
        return Probe(endpoint, False, flaw.detail, "see docs/connect/hubspot.md", streams)

"""Airtable as a source: bases, tables and fields as they are, and seven entities out of the tables that feed them.

Belongs here: the streams, how each is read, swept and tied out. Does not belong here: requests and pages
(`client.py`), which tables feed what (`mapping.py`), which field is which attribute (`bindings.py`).

A record says when it was made and not when it was changed. Changes are asked for by formula, from the server's own
time of the last read less the look-back; what a formula computes anew is no change to Airtable, so every table is
read whole once in `WHOLE_EVERY`. Every listing is checked against a second one that brings ids alone: a page that is
cut short, repeated or empty does not pass as a table. Deleted records show in no listing: `living_ids`.

One base that cannot be read does not stop the others. It is named in the receipt (the tie-out is "unknown" and says
why), nothing of it is swept away, and the stream is fresh only up to when that base was last read.

Tie-out. Records by the UTC day they were created, from a listing of its own after the sync that brings one field:
the money where the entity has any, which is summed exactly. Bases, tables and fields by another reading.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, Field, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject, Record, Rejected
from resources.airtable.bindings import Binding, Mark, Paused, bind
from resources.airtable.cells import FormulaError, cell_value
from resources.airtable.client import (
    MOST_RESTARTS,
    WHOLE_RETRY,
    AirtableClient,
    CredentialsRefused,
    IteratorExpired,
    Pairs,
    Refused,
)
from resources.airtable.entities import ENTITIES, Entity
from resources.airtable.mapping import BASE_ID, Entry, TableMapping, folded, is_called
from resources.record_checks import INVALID_SHAPE, Flaw, currency, moment, rejected, small_enough, text_id, utc_text

log = logging.getLogger(__name__)

#: What reading needs, and no more.
NEEDED_SCOPES = frozenset({"data.records:read", "schema.bases:read"})
VENDOR = "airtable"
LOOK_BACK = timedelta(minutes=10)
WHOLE_EVERY = timedelta(hours=20)
# How long a schema that was read serves the next stream, in seconds: one run asks a base once.
SCHEMA_SECONDS = 300.0
NAMES_SHOWN = 12

_JSON = {"checkbox": "boolean|null", "list": "array|null", "person": "array|null"}


def _fields_of(entity: Entity) -> dict[str, Field]:
    kinds = {name: Field(_JSON.get(attribute.kind, "string|null")) for name, attribute in entity.attributes.items()}
    fixed = ("id", "base_id", "table_id", "record_id", "created_time")
    return {**{name: Field("string") for name in fixed}, **kinds, "problems": Field("object|null")}


STREAMS = {
    stream.name: stream
    for stream in (
        Stream(VENDOR, "bases", "Bases the token may see", full_refresh=True, ties_out=True),
        Stream(VENDOR, "tables", "Tables of those bases, with the entity each feeds", ties_out=True),
        Stream(VENDOR, "fields", "Fields of those tables", ties_out=True),
        *(
            Stream(
                VENDOR, entity.name, entity.description, look_back=LOOK_BACK, ties_out=True,
                fields=_fields_of(entity),
            )
            for entity in ENTITIES.values()
        ),
    )
}  # fmt: skip


@dataclass(slots=True)
class Plan:
    """What is read for an entity, and what is not although it should be: table or base → why."""

    bindings: list[Binding] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    def raise_problems(self) -> None:
        if self.problems:
            raise PermanentFailure(f"airtable: {'; '.join(self.problems.values())}")


class AirtableSource:
    """The bases a token may see, read as `mapping` says. Opens nothing until first used."""

    vendor = VENDOR
    # Each base has an allowance of its own; schemas are read before.
    side_by_side = frozenset(ENTITIES)

    def __init__(self, client: AirtableClient, mapping: TableMapping) -> None:
        self.client = client
        self.mapping = mapping
        self.streams: dict[str, Stream] = dict(STREAMS)
        # stream → the plan of its last read: what is tied out and swept is what was read.
        self._plans: dict[str, Plan] = {}
        self._schemas: dict[tuple[str, str], tuple[float, list[JsonObject]]] = {}

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield the stream. Of an entity the last page is empty and has the cursor, which remembers for every table
        how far it was read and which field is which attribute. The cost of a page is in requests."""
        if stream.name in ENTITIES:
            yield from self._entity_pages(stream, cursor, now)
            return
        before = self.client.spent
        if stream.name == "bases":
            self._schemas.clear()
            seen = self._kept(("bases", ""), self.client.bases)
            good, bad = _checked([self._base_payload(base) for base in seen], _plain)
            yield Page(good, bad, None, Decimal(self.client.spent - before))
            return
        plan = self._plans[stream.name] = Plan()
        for base in self._bases():
            try:
                items = self._discovered(stream.name, base, "first")
            except Refused as refused:
                plan.problems[base["id"]] = _not_readable(base, refused)
                continue
            good, bad = _checked(items, _plain)
            yield Page(good, bad, None, Decimal(self.client.spent - before))
            before = self.client.spent
        _log_problems(stream, plan)
        yield Page((), (), utc_text(now), Decimal(self.client.spent - before))

    def _entity_pages(self, stream: Stream, cursor: str | None, now: datetime) -> Iterator[Page]:
        before = self.client.spent
        marks = read_cursor(cursor)
        plan = self._plans[stream.name] = self._plan(ENTITIES[stream.name], marks)
        kept = {key: mark for key, mark in marks.items() if key in plan.problems or _base_of(key) in plan.problems}
        read: list[Binding] = []
        for binding in plan.bindings:
            mark = marks.get(binding.key, Mark())
            try:
                for page, fresh in self._table(binding, mark, now):
                    if page is not None:
                        yield Page(page[0], page[1], None, Decimal(self.client.spent - before))
                        before = self.client.spent
                    if fresh is not None:
                        kept[binding.key] = fresh
                read.append(binding)
            except Refused as refused:
                plan.problems[binding.key] = f"base {binding.title} could not be read: {refused}"
                if binding.key in marks:
                    kept[binding.key] = marks[binding.key]
        plan.bindings = read
        plan.marks = kept
        if not read:
            plan.raise_problems()
            raise ConfigurationError(
                f"airtable: no table feeds {stream.name}: map one in airtable.yaml (stg_airtable__tables and "
                "`ops doctor` list the tables there are)"
            )
        _log_problems(stream, plan)
        yield Page((), (), write_cursor(kept, now), Decimal(self.client.spent - before))

    def _table(
        self, binding: Binding, mark: Mark, now: datetime
    ) -> Iterator[tuple[tuple[list[Record], list[Rejected]] | None, Mark | None]]:
        """The pages of one table, then its mark."""
        same_fields = all(binding.remembered().get(k) == v for k, v in mark.fields.items()) and set(mark.fields) == set(
            binding.fields
        )
        last_whole = _time(mark.whole)
        whole = (
            mark.since is None or not same_fields or last_whole is None or now - last_whole >= WHOLE_EVERY
            or now < last_whole
        )  # fmt: skip
        # From where the read before the last one began: what changed is asked for by two reads, because Airtable
        # counts nothing, and "no changes" is what a gateway's empty page says too.
        since = None if whole else utc_text(min(_time(mark.before or mark.since) or now, now) - LOOK_BACK)
        wanted = [("fields[]", bound.field_id) for bound in binding.fields.values()]
        started: str | None = None
        for items, begun in self._verified(binding, _unique(wanted), _changed(since)):
            started = started or _begin(begun, now)
            yield _checked([envelope(binding, item) for item in items], _check_record), None
        started = started or utc_text(now)
        yield (
            None,
            Mark(
                started,
                started if whole else mark.whole,
                binding.entry.signature,
                binding.base_name,
                binding.table_name,
                binding.remembered(),
                None if whole else mark.since,
            ),
        )

    def _verified(
        self, binding: Binding, wanted: Pairs, only: Pairs
    ) -> Iterator[tuple[list[JsonObject], datetime | None]]:
        """The records of a table that meet the formula of `only`, or all, until a listing of ids alone holds none that
        was not among them. A record comes again only where it changed meanwhile."""
        base, table = binding.base_id, binding.table_id
        query = [*_by_id(wanted), *only]
        ids_only = [*_by_id([("fields[]", binding.light)]), *only]
        emitted: dict[str, int] = {}
        expired, missing = 0, set[str]()
        tries = 0
        while tries < MOST_RESTARTS:
            began: datetime | None = None
            try:
                for page in self.client.records(base, table, query):
                    began = began or self.client.server_time
                    fresh = []
                    for item in page:
                        identity = item.get("id") if isinstance(item, dict) else None
                        if not isinstance(identity, str):
                            fresh.append(item)
                            continue
                        version = hash(orjson.dumps(item, default=str))
                        if emitted.get(identity) != version:
                            emitted[identity] = version
                            fresh.append(item)
                    yield fresh, began
                missing = self._listed_ids(base, table, ids_only, set(emitted)) - set(emitted)
            except IteratorExpired:
                expired += 1
                if expired > MOST_RESTARTS:
                    raise TransientFailure(
                        f"airtable: the listing of {binding.title} expired {expired} times: Airtable is slow; try later"
                    ) from None
                log.info("airtable: the listing of %s expired and is begun again", binding.title)
                continue
            except Refused as refused:
                if not only or refused.code != "INVALID_FILTER_BY_FORMULA":
                    raise
                log.warning("airtable: %s cannot be asked for some (%s) and is read whole", binding.title, refused)
                only, query, ids_only = [], _by_id(wanted), _by_id([("fields[]", binding.light)])
                continue
            if not missing:
                return
            tries += 1
            log.info("airtable: %s: %d records were in no page; it is read again", binding.title, len(missing))
        raise TransientFailure(
            f"airtable: {binding.title} has {len(missing)} records that no page showed, e.g. {sorted(missing)[0]}"
        )

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        """Every record made on these days in UTC, out of the tables that were read."""
        plan = self._plan_of(stream)
        plan.raise_problems()
        before = self.client.spent
        for binding in plan.bindings:
            wanted = [("fields[]", bound.field_id) for bound in binding.fields.values()]
            for items, _ in self._verified(binding, _unique(wanted), _made_on(days)):
                good, bad = _checked([envelope(binding, item) for item in items], _check_record)
                yield Page(good, bad, None, Decimal(self.client.spent - before))
                before = self.client.spent

    def _listed_ids(self, base: str, table: str, query: Pairs, came: set[str]) -> set[str]:
        """The ids of a listing that is to prove another whole. One that lacks what came is itself not whole, unless a
        second one lacks the same: then that was deleted meanwhile."""
        listed = set(self.client.record_ids(base, table, query))
        for _ in range(MOST_RESTARTS):
            if came <= listed:
                break
            again = set(self.client.record_ids(base, table, query))
            if again == listed:
                break
            listed |= again
        return listed

    # -- which tables -------------------------------------------------------------------------------------

    def _bases(self) -> list[JsonObject]:
        """The bases that are not ignored."""
        found = self._kept(("bases", ""), self.client.bases)
        return [base for base in found if not self.mapping.is_ignored(base["id"], base["name"])]

    def _tables(self, base: str, reading: str = "first") -> list[JsonObject]:
        return self._kept((reading, base), lambda: self.client.tables(base))

    def _kept(self, key: tuple[str, str], ask: Any) -> list[JsonObject]:
        at = self.client.http.clock()
        kept = self._schemas.get(key)
        if kept is None or at - kept[0] > SCHEMA_SECONDS:
            kept = self._schemas[key] = (at, ask())
        return kept[1]

    def _plan(self, entity: Entity, marks: Mapping[str, Mark]) -> Plan:
        """The tables that feed the entity: those `airtable.yaml` names, and those that were read before and are
        called otherwise now."""
        plan = Plan(marks=dict(marks))
        entries = self.mapping.entities.get(entity.name, ())
        signatures = {entry.signature: entry for entry in entries}
        remembered = {key: mark for key, mark in marks.items() if mark.entry in signatures}
        bases = self._bases()
        for base in bases:
            known = {key for key in remembered if _base_of(key) == base["id"]}
            covering = [entry for entry in entries if entry.covers_base(base["id"], base["name"])]
            if not known and not covering:
                continue
            try:
                tables = self._tables(base["id"])
            except Refused as refused:
                plan.problems[base["id"]] = _not_readable(base, refused)
                continue
            met: set[str] = set()
            for table in tables:
                key = f"{base['id']}/{table['id']}"
                mark = remembered.get(key)
                entry = self.mapping.entry_for(entity.name, base, table)
                if entry is None and mark is not None:
                    entry = signatures[mark.entry]
                if entry is None:
                    continue
                met |= {key, entry.signature}
                try:
                    plan.bindings.append(bind(entity, entry, base, table, mark))
                except Paused as paused:
                    plan.problems[key] = str(paused)
            for key in sorted(known - met):
                mark = remembered[key]
                plan.problems[key] = (
                    f"base {base['name']!r} ({base['id']}): the table {mark.table_name!r} that fed {entity.name} is "
                    "gone: restore it, or change airtable.yaml"
                )
            for entry in covering:
                if entry.signature not in met and entry.names_base(base["id"], base["name"]) and not known:
                    plan.problems[base["id"]] = (
                        f"base {base['name']!r} ({base['id']}) has no table {entry.table!r} for {entity.name}: "
                        f"it has {_some(table['name'] for table in tables)}"
                    )
        self._note_missing_bases(entity, entries, bases, remembered, plan)
        _note_fields_found_nowhere(entity, plan)
        return plan

    def _note_missing_bases(
        self,
        entity: Entity,
        entries: Sequence[Entry],
        bases: Sequence[JsonObject],
        remembered: Mapping[str, Mark],
        plan: Plan,
    ) -> None:
        """Bases that were read before, or that the file names, and that the token does not see."""
        seen = {base["id"] for base in bases}
        lost = {_base_of(key): mark.base_name for key, mark in remembered.items() if _base_of(key) not in seen}
        named = {folded(name) for name in lost.values()}
        for entry in entries:
            for pattern in entry.bases:
                plain = BASE_ID.fullmatch(pattern) or not any(sign in pattern for sign in "*?[")
                met = any(is_called(pattern, base["id"], base["name"]) for base in bases)
                known = pattern in lost or folded(pattern) in named or _renamed(entry, bases, remembered)
                if plain and not met and not known:
                    lost[pattern] = pattern
        for identity, name in lost.items():
            if self.mapping.is_ignored(identity, name):
                continue
            plan.problems[identity] = (
                f"base {name!r} ({identity}), which feeds {entity.name}, is not among those the token may see: give "
                "the token access to it again, or put it under `ignore:` in airtable.yaml"
            )

    def _discovered(self, name: str, base: JsonObject, reading: str) -> list[JsonObject]:
        """The payloads of the tables, or of the fields, of one base."""
        found: list[JsonObject] = []
        for table in self._tables(base["id"], reading):
            where = {"base_id": base["id"], "table_id": table["id"]}
            if name == "tables":
                feeds = [entity for entity in ENTITIES if self.mapping.entry_for(entity, base, table)]
                found.append(
                    {
                        "id": f"{base['id']}:{table['id']}",
                        **where,
                        "name": table["name"],
                        "description": table.get("description"),
                        "primary_field_id": table.get("primaryFieldId"),
                        "field_count": len(table["fields"]),
                        "entities": feeds,
                    }
                )
                continue
            for each in table["fields"]:
                options = each.get("options")
                found.append(
                    {
                        "id": f"{base['id']}:{table['id']}:{each['id']}",
                        **where,
                        "field_id": each["id"],
                        "name": str(each["name"]),
                        "type": each.get("type"),
                        "description": each.get("description"),
                        # As text: what is in it differs from type to type.
                        "options": None if options is None else orjson.dumps(options, default=str).decode(),
                    }
                )
        return found

    def _base_payload(self, base: JsonObject) -> JsonObject:
        return {
            "id": base["id"],
            "name": base["name"],
            "permission_level": base.get("permissionLevel"),
            "ignored": self.mapping.is_ignored(base["id"], base["name"]),
        }

    # -- deletes ------------------------------------------------------------------------------------------

    def living_ids(self, stream: Stream) -> Iterator[str]:
        """The ids of all records that feed the stream. Raises while a base of it cannot be read, and when two
        listings of a table do not agree: an incomplete list would delete what lives."""
        if stream.name not in ENTITIES:
            for base in self._bases():
                try:
                    yield from (item["id"] for item in self._discovered(stream.name, base, "first"))
                except Refused as refused:
                    raise PermanentFailure(f"airtable: {_not_readable(base, refused)}") from None
            return
        plan = self._plan_of(stream)
        plan.raise_problems()
        for binding in plan.bindings:

            def attempt(binding: Binding = binding) -> list[str]:
                query = _by_id([("fields[]", binding.light)])
                first, second = (
                    set(self.client.record_ids(binding.base_id, binding.table_id, query)) for _ in range(2)
                )
                if first != second:
                    raise TransientFailure(
                        f"airtable: two listings of {binding.title} differ by {len(first ^ second)} records"
                    )
                return sorted(first)

            ids = self.client.http.repeat(attempt, f"all ids of {binding.title}", WHOLE_RETRY)
            yield from (f"{binding.base_id}:{identity}" for identity in ids)

    def reached(self, stream: Stream) -> datetime | None:
        """Up to when the stream is whole where a base of it was not read; None where all were."""
        plan = self._plans.get(stream.name)
        if plan is None or not plan.problems:
            return None
        times = [
            _time(mark.since)
            for key, mark in plan.marks.items()
            if key in plan.problems or _base_of(key) in plan.problems
        ]
        return min((at for at in times if at is not None), default=None)

    def _plan_of(self, stream: Stream) -> Plan:
        if stream.name not in self._plans:
            self._plans[stream.name] = self._plan(ENTITIES[stream.name], {})
        return self._plans[stream.name]

    # -- tie-out ------------------------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """Counts by day of creation (UTC) and sums of money, from a listing of its own. Raises where a base is
        missing: its records have landed and cannot be counted."""
        if stream.name == "bases":
            return [ControlTotal("bases", None, len(self.client.bases()))]
        if stream.name not in ENTITIES:
            self._plans.get(stream.name, Plan()).raise_problems()
            counted = sum(len(self._discovered(stream.name, base, "second")) for base in self._bases())
            return [ControlTotal(stream.name, None, counted)]
        plan = self._plan_of(stream)
        plan.raise_problems()
        entity = ENTITIES[stream.name]
        counts: Counter[date] = Counter()
        sums: dict[date, Decimal] = {}
        for binding in plan.bindings:
            money = binding.fields.get(entity.amount or "")
            light = money.field_id if money is not None else binding.light
            listed = self.client.record_ids(binding.base_id, binding.table_id, _by_id([("fields[]", light)]))
            for item in listed.values():
                day = _day(item)
                counts[day] += 1
                if money is not None:
                    value = _amount(item, money.field_id, money.family)
                    sums[day] = sums.get(day, Decimal(0)) + value
        wanted = set(days) | set(counts) if days is not None else set(counts)
        amount = entity.amount is not None
        return [
            ControlTotal(entity.name, day, counts[day], sums.get(day, Decimal(0)) if amount else None)
            for day in sorted(wanted)
        ]

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        if not stream.ties_out:
            return None
        table = f"raw_airtable.{stream.name}"
        if stream.name not in ENTITIES:
            sql = f"select null::date, count(*)::bigint, null::numeric from {table} where deleted_at is null"
            return LandedQuery(stream.name, sql)
        day = "((payload->>'created_time')::timestamptz at time zone 'UTC')::date"
        money = ENTITIES[stream.name].amount
        amount = f"coalesce(sum((payload->>'{money}')::numeric), 0)" if money else "null::numeric"
        sql = (
            f"select {day} as day, count(*)::bigint as count, {amount} as amount from {table}"
            f" where deleted_at is null and (%(days)s::date[] is null or {day} = any(%(days)s::date[])) group by 1"
        )
        return LandedQuery(stream.name, sql, day, zone="UTC")

    def recheck(self, stream: Stream, payloads: Sequence[Any], *, now: datetime) -> Page:
        """Check again what was set aside; asks Airtable nothing."""
        good, bad = _checked(payloads, _check_record if stream.name in ENTITIES else _plain)
        return Page(good, bad)

    # -- health -------------------------------------------------------------------------------------------

    def probe(self) -> Iterator[Probe]:
        """Credentials, the list of bases, the schema of a base, and for every entity its tables and one record; last
        the tables that feed nothing."""
        every = tuple(STREAMS)
        try:
            who = self.client.whoami()
            scopes = who.get("scopes")
            said = f"user {who.get('id')}" + (f", scopes {', '.join(scopes)}" if isinstance(scopes, list) else "")
            more = sorted(set(scopes) - NEEDED_SCOPES) if isinstance(scopes, list) else []
            yield Probe("credentials", True, said, excess=tuple(str(scope) for scope in more))
        except CredentialsRefused as error:
            remedy = "make a personal access token (docs/connect/airtable.md) and set AIRTABLE_TOKEN"
            yield Probe("credentials", False, str(error), remedy, every)
            return
        except Refused as refused:
            # Who one is may be hidden; what one may read is asked next.
            yield Probe("credentials", True, f"accepted ({refused.status} for whoami)")
        except OpsError as error:
            yield Probe("credentials", False, str(error), "try again later", every)
            return
        try:
            self._schemas.clear()
            bases = self._bases()
        except OpsError as error:
            remedy = "give the token the scope schema.bases:read" if isinstance(error, Refused) else "try again later"
            yield Probe("bases", False, str(error), remedy, every)
            return
        if not bases:
            remedy = "add the bases, or the whole workspace, to the token's access"
            yield Probe("bases", False, "the token may see no base", remedy, every)
            return
        yield Probe("bases", True, f"{len(bases)} bases")
        unread = {}
        for base in bases:
            try:
                self._tables(base["id"])
            except Refused as refused:
                unread[base["name"]] = str(refused)
            except OpsError as error:
                yield Probe("tables", False, str(error), "try again later", every)
                return
        if unread:
            remedy = f"give the token schema.bases:read and access to {_some(unread)}, or ignore them in airtable.yaml"
            yield Probe("tables", False, next(iter(unread.values())), remedy, ("tables", "fields"))
        else:
            yield Probe("tables", True, f"{sum(len(self._tables(base['id'])) for base in bases)} tables")
        for entity in ENTITIES.values():
            yield self._entity_probe(entity)
        if not unread:
            yield self._unmapped(bases)

    def _entity_probe(self, entity: Entity) -> Probe:
        streams = (entity.name,)
        if not self.mapping.entities.get(entity.name):
            remedy = f"add tables under entities.{entity.name} in airtable.yaml"
            return Probe(entity.name, False, "no table is mapped to it", remedy, streams)
        try:
            plan = self._plan(entity, self._plans.get(entity.name, Plan()).marks)
            if not plan.bindings and not plan.problems:
                remedy = f"correct the names under entities.{entity.name} in airtable.yaml"
                return Probe(entity.name, False, "no base fits what airtable.yaml says", remedy, streams)
            seen = 0
            if plan.bindings:
                first = plan.bindings[0]
                query = [*_by_id([("fields[]", first.light)]), ("maxRecords", "1")]
                seen = len(self.client.record_ids(first.base_id, first.table_id, query))
        except Refused as refused:
            remedy = "give the token the scope data.records:read" if refused.status in (403, 404) else "see the text"
            return Probe(entity.name, False, str(refused), remedy, streams)
        except OpsError as error:
            return Probe(entity.name, False, str(error), "try again later", streams)
        said = f"{len(plan.bindings)} tables" + ("" if seen else ", the first of them empty")
        if plan.problems:
            return Probe(entity.name, False, f"{said}; {'; '.join(plan.problems.values())}", "see the text", streams)
        absent = sorted({name for binding in plan.bindings for name in binding.missing})
        return Probe(entity.name, True, said + (f"; some without {', '.join(absent)}" if absent else ""))

    def _unmapped(self, bases: Sequence[JsonObject]) -> Probe:
        loose = [
            f"{base['name']} / {table['name']}"
            for base in bases
            for table in self._tables(base["id"])
            if not any(self.mapping.entry_for(entity, base, table) for entity in ENTITIES)
        ]
        return Probe("unmapped tables", True, f"{len(loose)} feed nothing: {_some(loose)}" if loose else "none")

    def close(self) -> None:
        self.client.http.close()


# -- the cursor -----------------------------------------------------------------------------------------------


def read_cursor(text: str | None) -> dict[str, Mark]:
    """The marks of a cursor, by "base/table"."""
    _, _, state = (text or "").partition(" ")
    return {key: Mark.from_json(value) for key, value in orjson.loads(state).items()} if state else {}


def write_cursor(marks: Mapping[str, Mark], now: datetime) -> str:
    """The marks as text. It begins with the time of the sync, because the loader keeps the cursor that sorts last."""
    state = {key: mark.to_json() for key, mark in sorted(marks.items())}
    return f"{utc_text(now)} {orjson.dumps(state).decode()}"


def _base_of(key: str) -> str:
    return key.partition("/")[0]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _begin(server: datetime | None, now: datetime) -> str:
    """When a listing began: by the server's clock, for ours may be fast."""
    return utc_text(now if server is None else min(now, server.astimezone(UTC)))


def _renamed(entry: Entry, bases: Sequence[JsonObject], remembered: Mapping[str, Mark]) -> bool:
    """Whether the base an entry names goes by another name now."""
    seen = {base["id"] for base in bases}
    return any(mark.entry == entry.signature and _base_of(key) in seen for key, mark in remembered.items())


# -- queries --------------------------------------------------------------------------------------------------


def _by_id(wanted: Pairs) -> list[tuple[str, str]]:
    return [("returnFieldsByFieldId", "true"), *(pair for pair in wanted if pair[1])]


def _unique(pairs: Pairs) -> list[tuple[str, str]]:
    return list(dict.fromkeys(pairs))


def _changed(since: str | None) -> list[tuple[str, str]]:
    """Records made or changed after a time. A record nobody touched since it was made may have no last change."""
    if since is None:
        return []
    return [
        (
            "filterByFormula",
            f"OR(IS_AFTER(LAST_MODIFIED_TIME(),'{since}'),IS_AFTER(CREATED_TIME(),'{since}'))",
        )
    ]


def _made_on(days: Sequence[date]) -> list[tuple[str, str]]:
    """Records made on these days in UTC. A second more on either side costs nothing and asks no rounding."""
    spans = []
    for day in sorted(set(days)):
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        after, before = begin - timedelta(seconds=1), begin + timedelta(days=1, seconds=1)
        spans.append(
            f"AND(IS_AFTER(CREATED_TIME(),'{utc_text(after)}'),IS_BEFORE(CREATED_TIME(),'{utc_text(before)}'))"
        )
    return [("filterByFormula", spans[0] if len(spans) == 1 else f"OR({','.join(spans)})")]


# -- records --------------------------------------------------------------------------------------------------


def envelope(binding: Binding, item: Any) -> JsonObject:
    """A record with all that is needed to read it: also what is kept when it is refused."""
    return {
        "entity": binding.entity,
        "base_id": binding.base_id,
        "table_id": binding.table_id,
        "currency": binding.entry.currency,
        "fields": {name: [bound.field_id, bound.family] for name, bound in binding.fields.items()},
        "record": item,
    }


def _check_record(wrapped: JsonObject) -> Record:
    item = wrapped.get("record")
    if not isinstance(item, dict) or wrapped.get("entity") not in ENTITIES:
        raise Flaw(INVALID_SHAPE, "not a record")
    entity = ENTITIES[wrapped["entity"]]
    identity = text_id(item.get("id"))
    created = moment(item.get("createdTime"), "createdTime")
    cells = item.get("fields", {})
    if not isinstance(cells, dict):
        raise Flaw(INVALID_SHAPE, f"fields is {type(cells).__name__}, not an object")
    payload: JsonObject = {
        "id": f"{wrapped['base_id']}:{identity}",
        "base_id": wrapped["base_id"],
        "table_id": wrapped["table_id"],
        "record_id": identity,
        "created_time": utc_text(created),
    }
    problems: dict[str, str] = {}
    for name, attribute in entity.attributes.items():
        # Columns come from the mapping and the schema, never from the record: an empty cell is not in it.
        field_id, family = wrapped["fields"].get(name, (None, ""))
        if field_id is None:
            # This table has no such field: unknown, for a checkbox too.
            payload[name] = None
            continue
        try:
            payload[name] = cell_value(attribute.kind, family, cells.get(field_id), name)
        except FormulaError as error:
            payload[name] = None
            problems[name] = str(error)
    if entity.has_money:
        payload["currency"] = payload.get("currency") or wrapped.get("currency")
        if payload["currency"] is not None:
            payload["currency"] = payload["currency"].strip().upper()
            currency(payload["currency"], "currency")
    payload["problems"] = problems or None
    small_enough(sum(len(value) for value in payload.values() if isinstance(value, str)))
    return Record(payload["id"], payload)


def _plain(payload: JsonObject) -> Record:
    return Record(text_id(payload.get("id")), payload)


def _checked(items: Sequence[Any], check: Any) -> tuple[list[Record], list[Rejected]]:
    good: list[Record] = []
    bad: list[Rejected] = []
    for item in items:
        try:
            if not isinstance(item, dict):
                raise Flaw(INVALID_SHAPE, "not an object")
            good.append(check(item))
        except Flaw as flaw:
            inner = item.get("record") if isinstance(item, dict) else None
            identity = inner.get("id") if isinstance(inner, dict) else None
            known = f"{item['base_id']}:{identity}" if isinstance(identity, str) else None
            bad.append(rejected(item, flaw, known))
    return good, bad


def _day(item: JsonObject) -> date:
    try:
        return moment(item.get("createdTime"), "createdTime").astimezone(UTC).date()
    except Flaw:
        raise TransientFailure("airtable: a listed record does not say when it was created") from None


def _amount(item: JsonObject, field_id: str, family: str) -> Decimal:
    try:
        value = cell_value("money", family, (item.get("fields") or {}).get(field_id), "amount")
    except (FormulaError, Flaw):
        return Decimal(0)
    return Decimal(value) if value is not None else Decimal(0)


# -- sentences ------------------------------------------------------------------------------------------------


def _not_readable(base: JsonObject, refused: Refused) -> str:
    return (
        f"base {base['name']!r} ({base['id']}) may not be read (status {refused.status}): give the token access to it, "
        "or put it under `ignore:` in airtable.yaml"
    )


def _note_fields_found_nowhere(entity: Entity, plan: Plan) -> None:
    """A field that no table of an entry has is a slip of the pen, not a difference between bases."""
    entries = {binding.entry.signature: binding.entry for binding in plan.bindings}
    for signature, entry in entries.items():
        alike = [binding for binding in plan.bindings if binding.entry.signature == signature]
        nowhere = [name for name in entry.fields if all(name in binding.missing for binding in alike)]
        if not nowhere:
            continue
        called = "; ".join(f"{name}: {' or '.join(map(repr, entry.fields[name]))}" for name in nowhere)
        plan.bindings = [binding for binding in plan.bindings if binding not in alike]
        for binding in alike:
            plan.problems[binding.key] = (
                f"base {binding.title} is not read as {entity.name}: no table of its entry in airtable.yaml has the "
                f"field {called}: correct the name or take the line out"
            )


def _log_problems(stream: Stream, plan: Plan) -> None:
    for sentence in plan.problems.values():
        log.warning("airtable %s: %s", stream.name, sentence)


def _some(names: Any) -> str:
    found = [str(name) for name in names]
    rest = len(found) - NAMES_SHOWN
    return ", ".join(found[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")

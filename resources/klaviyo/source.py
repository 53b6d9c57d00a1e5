"""Klaviyo as a source: what each stream asks, from when, and what Klaviyo's own totals are.

Belongs here: the questions. Does not belong here: sending and paging (`client.py`), records (`records.py`), which
metrics and how far back (`streams.py`).

Tie-out. Events are held against Klaviyo's own totals: per day of the account, the count and the sum of values of
`metric-aggregates`. Campaigns, flows, lists, segments and metrics are counted by a second listing in another order;
what was deleted at Klaviyo shows there until the sweep (`living_ids`) has taken it away. Aggregates and reports are
totals themselves and are not held against anything; asking a report twice would cost its quota.

Reports. `campaign-values-reports` and `flow-values-reports` allow 225 calls a day each. They are read at most once
in `REPORT_EVERY`; when last is in the stream's cursor, so that it holds across processes. One reading is one or two
calls for all campaigns or flows: campaigns sent lately (their conversions still move), at first the last two years;
flows this month, and either the month before or, one at a reading, an older month not yet read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject, Record
from resources.klaviyo import endpoints as at
from resources.klaviyo import records
from resources.klaviyo.client import KlaviyoClient, Refused
from resources.klaviyo.endpoints import Endpoint
from resources.klaviyo.streams import (
    AGGREGATE_HISTORY_DAYS,
    AGGREGATE_LOOK_BACK,
    AGGREGATE_METRICS,
    AUDIENCE_LOOK_BACK,
    CAMPAIGN_HISTORY_DAYS,
    CAMPAIGN_RELOAD_DAYS,
    CHANNELS,
    EVENT_LOOK_BACK,
    EVENT_METRICS,
    FLOW_HISTORY_MONTHS,
    FLOW_RELOAD_DAYS,
    LONGEST_RANGE_DAYS,
    OPTIONAL_CHANNELS,
    ORDER_INTEGRATION,
    PLACED_ORDER,
    REPORT_EVERY,
    STATISTICS,
    STREAMS,
    VENDOR,
)
from resources.record_checks import Flaw, moment, utc_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

log = logging.getLogger(__name__)

_MEASUREMENTS = ("count", "unique", "sum_value")
_COUNTED = {"lists": at.LISTS, "segments": at.SEGMENTS, "flows": at.FLOWS, "campaigns": at.CAMPAIGNS,
            "metrics": at.METRICS}  # fmt: skip
_CHECKS: dict[str, Callable[[JsonObject], Record]] = {
    "accounts": records.account,
    "metrics": records.metric,
    "lists": records.audience,
    "segments": records.audience,
    "flows": records.flow,
    "campaigns": records.campaign,
    "events": records.event,
    "campaign_values": records.values,
    "flow_values": records.values,
}


class KlaviyoSource:
    """An account read with a private key. `order_integration` names the integration whose order metrics count.
    Opens nothing until first used."""

    vendor = VENDOR
    # Totals and reports have no deletions of their own: what is not asked for again stays.
    unswept = frozenset({"metric_aggregates", "campaign_values", "flow_values"})
    # Each waits for windows of its own: three aggregates a second, two reports a minute.
    side_by_side = frozenset({"events", "metric_aggregates", "campaign_values", "flow_values"})

    def __init__(self, client: KlaviyoClient, *, order_integration: str = ORDER_INTEGRATION) -> None:
        self.client = client
        self.order_integration = order_integration
        self.streams: dict[str, Stream] = dict(STREAMS)
        # Channels the account refuses to list, with what it said.
        self.skipped: dict[str, str] = {}
        self._account: JsonObject | None = None
        # What the last reading of events saw, for the days its totals are asked for.
        self._first_event: date | None = None
        self._read_to: datetime | None = None

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield the pages of `stream`. The cost of a page is in requests."""
        read: dict[str, Callable[[str | None, datetime], Iterator[Page]]] = {
            "accounts": self._accounts,
            "metrics": self._metrics,
            "lists": partial(self._audiences, at.LISTS),
            "segments": partial(self._audiences, at.SEGMENTS),
            "flows": self._flows,
            "campaigns": self._campaigns,
            "events": self._events,
            "metric_aggregates": self._aggregates,
            "campaign_values": self._campaign_values,
            "flow_values": self._flow_values,
        }
        before = self.client.requests
        for page in read[stream.name](cursor, now):
            spent, before = self.client.requests - before, self.client.requests
            yield Page(page.records, page.rejected, page.cursor, Decimal(spent))

    def _accounts(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        for document in self.client.listing(at.ACCOUNTS):
            yield _page(map(records.kept_account, document["data"]), records.account)

    def _metrics(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        def read(short: bool) -> Iterator[tuple[JsonObject, Page]]:
            for document in self.client.listing(at.METRICS, {"fields[metric]": "name"} if short else None):
                yield document, _page(document["data"], records.metric)

        yield from _whole("metrics", read)

    def _audiences(self, endpoint: Endpoint, cursor: str | None, now: datetime) -> Iterator[Page]:
        since = _since(cursor, now, AUDIENCE_LOOK_BACK)
        # Of `updated` lists and segments take no other operator.
        wanted = {} if since is None else {"filter": f"greater-than(updated,{since})"}

        def read(short: bool) -> Iterator[tuple[JsonObject, Page]]:
            fields = {f"fields[{endpoint.name[:-1]}]": "name,updated"} if short else {}
            params = {"sort": "-updated" if short else "updated", **wanted, **fields}
            for document in self.client.listing(endpoint, params):
                yield document, _page(document["data"], records.audience, now)

        yield from _whole(endpoint.name, read)

    def _flows(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        since = _since(cursor, now, AUDIENCE_LOOK_BACK)

        def read(short: bool) -> Iterator[tuple[JsonObject, Page]]:
            fields = {"fields[flow]": "name,updated"} if short else {}
            for document in self._flow_documents("-updated" if short else "updated", since, **fields):
                yield document, _page(document["data"], records.flow, now)

        yield from _whole("flows", read)

    def _flow_documents(self, sort: str, since: str | None, **more: str) -> Iterator[JsonObject]:
        # Both are asked for by name: what a listing without the filter leaves out is not said.
        for archived in ("false", "true"):
            wanted = [f"equals(archived,{archived})"]
            if since is not None:
                wanted.append(f"greater-or-equal(updated,{since})")
            yield from self.client.listing(at.FLOWS, {"filter": _all_of(wanted), "sort": sort, **more})

    def _campaigns(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        since = _since(cursor, now, AUDIENCE_LOOK_BACK)

        def read(short: bool) -> Iterator[tuple[JsonObject, Page]]:
            more = {"fields[campaign]": "name"} if short else {"include": "campaign-messages"}
            sort = "-updated_at" if short else "updated_at"
            for channel, document in self._campaign_documents(sort, since, **more):
                messages = records.included(document, "campaign-message")
                kept = [records.kept_campaign(item, channel, messages) for item in document["data"]]
                yield document, _page([] if short else kept, records.campaign, now)

        yield from _whole("campaigns", read)

    def _campaign_documents(self, sort: str, since: str | None, **more: str) -> Iterator[tuple[str, JsonObject]]:
        self.skipped = {}
        for channel in CHANNELS:
            for archived in ("false", "true"):
                wanted = [f"equals(messages.channel,'{channel}')", f"equals(archived,{archived})"]
                if since is not None:
                    wanted.append(f"greater-or-equal(updated_at,{since})")
                try:
                    for document in self.client.listing(
                        at.CAMPAIGNS, {"filter": _all_of(wanted), "sort": sort, **more}
                    ):
                        yield channel, document
                except Refused as refused:
                    if channel not in OPTIONAL_CHANNELS or refused.status != 400:
                        raise
                    self.skipped[channel] = str(refused)
                    log.warning("klaviyo: %s campaigns are not read: %s", channel, refused)
                    break

    def _events(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        """Events of the order metrics in the order of their time, each metric to its end. Of the days that are over
        at least as many must have come as Klaviyo counts. What was back-dated by more than the look-back comes
        with its day (`day_pages`), when that does not tie out."""
        since = _since(cursor, now, EVENT_LOOK_BACK)
        zone = self._zone()
        if cursor is None:
            self._first_event = None
        self._read_to = now
        for metric in self._order_metrics():
            for last_try in (False, True):
                came: Counter[date] = Counter()
                for page in self._events_of(metric, since, now):
                    came.update(
                        record.updated_at.astimezone(zone).date() for record in page.records if record.updated_at
                    )
                    yield page
                    came.update({date.min: len(page.rejected)} if page.rejected else {})
                first = min((day for day in came if day != date.min), default=None)
                if first is not None:
                    self._first_event = min(first, self._first_event or first)
                short = self._short_days(metric, came, since, now)
                if not short:
                    break
                if last_try:
                    raise TransientFailure(
                        f"klaviyo: the listing of {metric['name']} came short twice: {', '.join(short[:3])}"
                    )

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        """Every event of these days of the account, for instance those that were back-dated by more than the
        look-back."""
        before = self.client.requests
        for metric in self._order_metrics():
            for day in sorted(set(days)):
                begin, end = (utc_text(at) for at in clock.day_bounds(day, self._zone().key))
                for page in self._events_of(metric, begin, now, until=end):
                    spent, before = self.client.requests - before, self.client.requests
                    yield Page(page.records, page.rejected, None, Decimal(spent))

    def _events_of(
        self, metric: JsonObject, since: str | None, now: datetime, until: str | None = None
    ) -> Iterator[Page]:
        wanted = [f"equals(metric_id,'{metric['id']}')"]
        if since is not None:
            wanted.append(f"greater-or-equal(datetime,{since})")
        if until is not None:
            wanted.append(f"less-than(datetime,{until})")
        params: dict[str, str | int] = {
            "filter": _all_of(wanted),
            "sort": "datetime",
            "include": "attributions",
            "fields[event]": "datetime,event_properties,uuid",
        }
        for document in self.client.listing(at.EVENTS, params, exact_decimals=True):
            attributions = records.included(document, "attribution")
            kept = [records.kept_event(item, metric, attributions) for item in document["data"]]
            yield _page(kept, records.event, now)

    def _short_days(self, metric: JsonObject, came: Counter[date], since: str | None, now: datetime) -> list[str]:
        """The days that are over and of which fewer events came than Klaviyo counts, as it would be told. Records set
        aside are of an unknown day and stand for any."""
        zone = self._zone()
        last = now.astimezone(zone).date() - timedelta(days=1)
        if since is not None:
            # The first day is read in part.
            first = datetime.fromisoformat(since).astimezone(zone).date() + timedelta(days=1)
        else:
            created = _day_of(metric.get("created"), zone)
            seen = min((day for day in came if day != date.min), default=None)
            first = seen or max(created or last, last - timedelta(days=LONGEST_RANGE_DAYS))
        found = []
        for day, (count, *_) in sorted(self._totals(metric, first, last).items()):
            if came[day] + came[date.min] < count:
                found.append(f"{day} has {int(count)}, {came[day]} came")
        return found

    def _aggregates(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        """Every metric's days: at first two years, then the last days again, for events come late. Zeros are kept of
        the last days, and from a metric's first day on: before it, nothing is known. The day that is not over is read,
        and read again."""
        zone = self._zone()
        today = now.astimezone(zone).date()
        metrics = self._wanted_metrics(AGGREGATE_METRICS)
        first = today - timedelta(days=AGGREGATE_HISTORY_DAYS)
        if cursor is not None:
            first = min(date.fromisoformat(cursor), today) - AGGREGATE_LOOK_BACK
        else:
            created = [day for metric in metrics if (day := _day_of(metric.get("created"), zone)) is not None]
            first = max(first, min(created, default=first))
        for metric in metrics:
            begun = False
            good: list[Record] = []
            for day, values in sorted(self._totals(metric, first, today).items()):
                begun = begun or any(values)
                if begun or cursor is not None or day >= today - AGGREGATE_LOOK_BACK:
                    good.append(self._aggregate(metric, day, values))
            yield Page(good, (), today.isoformat())

    def _aggregate(self, metric: JsonObject, day: date, values: Sequence[Decimal]) -> Record:
        account = self._known_account()
        count, unique, value = values
        payload = {
            "id": f"{metric['id']}:{day.isoformat()}",
            "metric_id": metric["id"],
            "metric_name": metric["name"],
            "integration": metric["integration"].get("name"),
            "day": day.isoformat(),
            "timezone": account["timezone"],
            "currency": account["preferred_currency"],
            "count": int(count),
            "unique": int(unique),
            "value": format(value, "f"),
        }
        return Record(payload["id"], payload)

    # -- reports --------------------------------------------------------------------------------------------

    def _campaign_values(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        if not report_is_due(cursor, now):
            return
        today = now.astimezone(self._zone()).date()
        days = CAMPAIGN_HISTORY_DAYS if cursor is None else CAMPAIGN_RELOAD_DAYS
        if cursor is not None:
            # After a longer absence, what was sent since the last reading has never been read.
            days = min(CAMPAIGN_HISTORY_DAYS, days + max(0, (now - _read_at(cursor)).days))
        first = today - timedelta(days=days)
        while first <= today:
            last = min(today, first + timedelta(days=LONGEST_RANGE_DAYS))
            names = ("campaign_id", "campaign_message_id", "send_channel")
            yield from self._values(at.CAMPAIGN_VALUES, names, first, last, utc_text(now))
            first = last + timedelta(days=1)

    def _flow_values(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        if not report_is_due(cursor, now):
            return
        today = now.astimezone(self._zone()).date()
        this = today.replace(day=1)
        before = _month_before(this)
        oldest = _oldest_month(cursor) or this
        months = [this]
        if today.day <= FLOW_RELOAD_DAYS or oldest > before or _read_at(cursor or utc_text(now)).date() < this:
            months.append(before)
            oldest = min(oldest, before)
        elif (this.year - oldest.year) * 12 + this.month - oldest.month < FLOW_HISTORY_MONTHS:
            oldest = _month_before(oldest)
            months.append(oldest)
        for month in months:
            last = min(today, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1))
            names = ("flow_id", "flow_message_id", "send_channel")
            moved = f"{utc_text(now)}|{oldest.isoformat()}"
            yield from self._values(at.FLOW_VALUES, names, month, last, moved, month=month.isoformat())

    def _values(
        self, endpoint: Endpoint, names: Sequence[str], first: date, last: date, cursor: str, **more: str
    ) -> Iterator[Page]:
        """The pages of a report over days of the account, both included."""
        attributes = {
            "statistics": list(STATISTICS),
            # The offset is ignored and the account's zone used; it is written because the format asks for one.
            "timeframe": {"start": f"{first}T00:00:00+00:00", "end": f"{last + timedelta(days=1)}T00:00:00+00:00"},
            "conversion_metric_id": self._conversion_metric()["id"],
            "group_by": list(names),
        }
        for document in self.client.report(endpoint, attributes):
            rows = document["data"]["attributes"]["results"]
            good, bad = records.checked([records.kept_values(row, names, more) for row in rows], records.values)
            yield Page(good, bad, cursor)

    def recheck(self, stream: Stream, payloads: Sequence[Any], *, now: datetime) -> Page:
        """The checks of `pages` on what was set aside; asks Klaviyo nothing."""
        if stream.name not in _CHECKS:
            raise PermanentFailure(f"klaviyo: {stream.name} are computed of Klaviyo's totals and never set aside")
        return Page(*records.checked(payloads, _CHECKS[stream.name]))

    # -- what the account has ---------------------------------------------------------------------------------

    def order_metric_id(self) -> str:
        """The id of the *Placed Order* that counts. Raises `ConfigurationError` where the account has none."""
        return str(self._conversion_metric()["id"])

    def _known_account(self) -> JsonObject:
        if self._account is None:
            for document in self.client.listing(at.ACCOUNTS):
                for item in document["data"]:
                    try:
                        self._account = records.account(item).payload
                    except Flaw as flaw:
                        raise TransientFailure(f"klaviyo: the account cannot be read: {flaw.detail}") from None
            if self._account is None:
                raise TransientFailure("klaviyo: accounts answered without an account")
        return self._account

    def _zone(self) -> ZoneInfo:
        return records.zone(self._known_account()["timezone"])

    def _all_metrics(self) -> list[JsonObject]:
        found: list[JsonObject] = []
        for document in self.client.listing(at.METRICS):
            good, _ = records.checked(document["data"], records.metric)
            found.extend(record.payload for record in good)
        return found

    def _wanted_metrics(self, names: Sequence[str]) -> list[JsonObject]:
        """The metrics of those names, in that order; of order metrics the one of the shop's integration."""
        known = self._all_metrics()
        found = []
        for name in names:
            same = sorted((each for each in known if each["name"] == name), key=lambda each: str(each["id"]))
            if name in EVENT_METRICS and len(same) > 1:
                wanted = self.order_integration.casefold()
                of_shop = [each for each in same if str(each["integration"].get("name")).casefold() == wanted]
                if len(of_shop) != 1:
                    told = ", ".join(f"{each['id']} ({each['integration'].get('name')})" for each in same)
                    raise ConfigurationError(
                        f"klaviyo: there are {len(same)} metrics called {name!r}: {told}; none or several are of"
                        f" {self.order_integration!r}. Set KLAVIYO_ORDER_INTEGRATION to the integration that counts"
                    )
                same = of_shop
            found.extend(same)
        return found

    def _order_metrics(self) -> list[JsonObject]:
        return self._wanted_metrics(EVENT_METRICS)

    def _conversion_metric(self) -> JsonObject:
        found = self._wanted_metrics((PLACED_ORDER,))
        if not found:
            raise ConfigurationError(
                f"klaviyo: the account has no metric {PLACED_ORDER!r}, so reports cannot say what a message brought;"
                " connect the shop in Klaviyo's integrations"
            )
        return found[0]

    def _totals(self, metric: JsonObject, first: date, last: date) -> dict[date, list[Decimal]]:
        """Count, people and value of a metric on each day of the account, both ends included."""
        zone = self._zone()
        totals: dict[date, list[Decimal]] = {}
        while first <= last:
            end = min(last, first + timedelta(days=LONGEST_RANGE_DAYS))
            attributes: JsonObject = {
                "metric_id": metric["id"],
                "measurements": list(_MEASUREMENTS),
                "interval": "day",
                "page_size": 500,
                "filter": [
                    f"greater-or-equal(datetime,{first}T00:00:00)",
                    f"less-than(datetime,{end + timedelta(days=1)}T00:00:00)",
                ],
                "timezone": zone.key,
            }
            for document in self.client.aggregates(at.AGGREGATES, attributes):
                days = records.days_of(document, zone)
                for day, values in records.measured(document, days, _MEASUREMENTS).items():
                    if first <= day <= end:
                        known = totals.get(day, [Decimal(0)] * len(values))
                        totals[day] = [a + b for a, b in zip(known, values, strict=True)]
            first = end + timedelta(days=1)
        return totals

    # -- completeness -----------------------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """Klaviyo's own count and sum per day for events, a second listing's count for what is listed."""
        if stream.name == "events":
            return self._event_totals(days)
        if stream.name in _COUNTED:
            return [ControlTotal(stream.name, None, sum(1 for _ in self._listed(stream, again=True)))]
        return []

    def _event_totals(self, days: Sequence[date] | None) -> list[ControlTotal]:
        if days is not None and not days:
            return []
        if days is None:
            if self._first_event is None or self._read_to is None:
                return []
            first, last = self._first_event, self._read_to.astimezone(self._zone()).date()
        else:
            first, last = min(days), max(days)
        wanted = None if days is None else set(days)
        counts: dict[date, list[Decimal]] = {}
        for metric in self._order_metrics():
            for day, (count, _, value) in self._totals(metric, first, last).items():
                if wanted is None or day in wanted:
                    known = counts.setdefault(day, [Decimal(0), Decimal(0)])
                    known[0] += count
                    known[1] += value
        currency = str(self._known_account()["preferred_currency"])
        return [
            ControlTotal("events", day, int(count), value, currency)
            for day, (count, value) in sorted(counts.items())
            if count or value or days is not None
        ]

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        if stream.name == "events":
            zone = self._zone().key
            day = f"((payload ->> 'datetime')::timestamptz at time zone '{zone}')::date"
            sql = (
                f"select {day} as day, count(*), coalesce(sum((payload -> 'properties' ->> '$value')::numeric), 0)"
                f" from raw_klaviyo.events where deleted_at is null"
                f" and (%(days)s::date[] is null or {day} = any(%(days)s::date[])) group by 1"
            )
            return LandedQuery("events", sql, day, zone)
        if stream.name in _COUNTED:
            sql = f"select null::date, count(*), null::numeric from raw_klaviyo.{stream.name} where deleted_at is null"
            return LandedQuery(stream.name, sql)
        return None

    def living_ids(self, stream: Stream) -> Iterator[str]:
        """Every id there is now. Two listings in opposite orders must agree, for events the listing and Klaviyo's own
        count: a listing that came short takes nothing for deleted."""
        if stream.name == "events":
            yield from self._living_events()
            return
        first, second = set(self._listed(stream, again=False)), set(self._listed(stream, again=True))
        if first != second:
            raise TransientFailure(
                f"klaviyo: two listings of {stream.name} differ ({len(first)} and {len(second)}): nothing is deleted"
            )
        yield from sorted(first)

    def _living_events(self) -> Iterator[str]:
        zone = self._zone()
        for metric in self._order_metrics():
            params = {"filter": f"equals(metric_id,'{metric['id']}')", "sort": "datetime", "fields[event]": "datetime"}
            found: dict[str, date] = {}
            for document in self.client.listing(at.EVENTS, params):
                for item in document["data"]:
                    if isinstance(item, dict) and isinstance(item.get("id"), str):
                        attributes = item.get("attributes")
                        day = _day_of(attributes.get("datetime") if isinstance(attributes, dict) else None, zone)
                        found[item["id"]] = day or date.min
            days = [day for day in found.values() if day != date.min]
            counted = sum(values[0] for values in self._totals(metric, min(days), max(days)).values()) if days else 0
            if len(found) < counted:
                raise TransientFailure(
                    f"klaviyo: {len(found)} events of {metric['name']} were listed and {int(counted)} are counted:"
                    " nothing is deleted"
                )
            yield from found

    def _listed(self, stream: Stream, *, again: bool) -> Iterator[str]:
        """The ids of a listing, each once; `again` in the opposite order."""
        endpoint = _COUNTED[stream.name]
        sort = "-id" if again else "id"
        documents: Iterator[JsonObject]
        if stream.name == "campaigns":
            fields = {"fields[campaign]": "name"}
            documents = (document for _, document in self._campaign_documents(sort, None, **fields))
        elif stream.name == "flows":
            documents = self._flow_documents(sort, None, **{"fields[flow]": "name"})
        elif stream.name == "metrics":
            documents = self.client.listing(endpoint, {"fields[metric]": "name"})
        else:
            documents = self.client.listing(endpoint, {"sort": sort, f"fields[{stream.name[:-1]}]": "name"})
        seen: set[str] = set()
        for document in documents:
            fresh = dict.fromkeys(each for each in _listed_ids(document) if each and each not in seen)
            seen.update(fresh)
            yield from fresh

    # -- probing ----------------------------------------------------------------------------------------------

    def probe(self) -> Iterator[Probe]:
        """Ask the key, then every endpoint for something known; each of the two reports costs one call of its day."""
        account: JsonObject | None = None
        try:
            account = self._known_account()
            told = f"{account['organization_name'] or account['id']}, {account['timezone']}"
        except Refused as refused:
            if refused.status != 403:
                remedy = "set KLAVIYO_API_KEY to a private key (pk_…) of the account; Settings, API keys"
                if refused.status in (400, 410):
                    remedy = "set KLAVIYO_REVISION to a revision that Klaviyo serves"
                yield Probe("credentials", False, str(refused), remedy, tuple(self.streams))
                return
            remedy = f"make a private key with the scope {at.ACCOUNTS.scope}; without the zone no day can be told"
            dependent = ("accounts", "events", "metric_aggregates", "campaign_values", "flow_values")
            yield Probe("credentials", True, "the key is accepted")
            yield Probe("accounts", False, str(refused), remedy, dependent)
        except OpsError as error:
            yield Probe("credentials", False, str(error), "see the message", tuple(self.streams))
            return
        else:
            yield Probe("credentials", True, f"the key belongs to {told}")
        for name in ("metrics", "lists", "segments", "campaigns", "flows"):
            yield self._probe(name, _COUNTED[name], (name,), partial(self._look_at, name))
        yield self._probe("events", at.EVENTS, ("events",), self._look_at_events)
        if account is None:
            return
        yield self._probe("metric-aggregates", at.AGGREGATES, ("metric_aggregates", "events"), self._look_at_totals)
        for endpoint, stream, names in (
            (at.CAMPAIGN_VALUES, "campaign_values", ("campaign_id", "campaign_message_id", "send_channel")),
            (at.FLOW_VALUES, "flow_values", ("flow_id", "flow_message_id", "send_channel")),
        ):
            look = partial(self._look_at_report, endpoint, names)
            yield self._probe(endpoint.name, endpoint, (stream,), look)

    def _probe(self, name: str, endpoint: Endpoint, streams: tuple[str, ...], look: Callable[[], str]) -> Probe:
        try:
            return Probe(name, True, look())
        except Refused as refused:
            remedy = (
                f"make a private key with the scope {endpoint.scope}" if refused.status == 403 else "see the message"
            )
            return Probe(name, False, str(refused), remedy, streams)
        except OpsError as error:
            return Probe(name, False, str(error), "see the message", streams)

    def _look_at(self, name: str) -> str:
        endpoint = _COUNTED[name]
        params: dict[str, str | int] = {} if endpoint.page_size is None else {"page[size]": 1}
        if name == "campaigns":
            params["filter"] = "equals(messages.channel,'email')"
        document = next(iter(self.client.listing(endpoint, params)))
        if name != "metrics":
            return f"answers, {'with' if document['data'] else 'without'} any"
        metric = self._conversion_metric()
        return f"{PLACED_ORDER!r} is {metric['id']} of {metric['integration'].get('name')}"

    def _look_at_events(self) -> str:
        metric = self._conversion_metric()
        params: dict[str, str | int] = {
            "filter": f"equals(metric_id,'{metric['id']}')", "sort": "-datetime", "page[size]": 1,
        }  # fmt: skip
        document = next(iter(self.client.listing(at.EVENTS, params, exact_decimals=True)))
        if not document["data"]:
            return f"no {PLACED_ORDER!r} yet"
        found = records.attributes_of(document["data"][0])
        return f"the last {PLACED_ORDER!r} is of {moment(found.get('datetime'), 'datetime'):%Y-%m-%d}"

    def _look_at_totals(self) -> str:
        yesterday = clock.now().astimezone(self._zone()).date() - timedelta(days=1)
        totals = self._totals(self._conversion_metric(), yesterday, yesterday)
        count = sum(values[0] for values in totals.values())
        return f"{int(count)} {PLACED_ORDER!r} yesterday"

    def _look_at_report(self, endpoint: Endpoint, names: Sequence[str]) -> str:
        yesterday = clock.now().astimezone(self._zone()).date() - timedelta(days=1)
        rows = sum(page.received for page in self._values(endpoint, names, yesterday, yesterday, ""))
        return f"{rows} sent yesterday; {endpoint.daily} calls a day"

    def close(self) -> None:
        self.client.close()


# -- small parts ----------------------------------------------------------------------------------------------


def _whole(what: str, read: Callable[[bool], Iterator[tuple[JsonObject, Page]]]) -> Iterator[Page]:
    """The pages that `read(False)` gives, if `read(True)`, the same listing in the opposite order, has nothing that
    did not come; else all of them once more."""
    missing: set[str] = set()
    for _ in range(2):
        came: set[str] = set()
        for document, page in read(False):
            came.update(_listed_ids(document))
            yield page
        missing = {each for document, _ in read(True) for each in _listed_ids(document)} - came
        if not missing:
            return
    raise TransientFailure(f"klaviyo: the listing of {what} came short twice: {len(missing)} are missing")


def _listed_ids(document: JsonObject) -> list[str]:
    return [item["id"] for item in document["data"] if isinstance(item, dict) and isinstance(item.get("id"), str)]


def report_is_due(cursor: str | None, now: datetime) -> bool:
    """Whether a report may be read again: never read, or long enough ago."""
    return cursor is None or now - _read_at(cursor) >= REPORT_EVERY


def _read_at(cursor: str) -> datetime:
    return datetime.fromisoformat(cursor.partition("|")[0])


def _oldest_month(cursor: str | None) -> date | None:
    month = cursor.partition("|")[2] if cursor is not None else ""
    return date.fromisoformat(month) if month else None


def _month_before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def _since(cursor: str | None, now: datetime, look_back: timedelta) -> str | None:
    return None if cursor is None else utc_text(min(datetime.fromisoformat(cursor), now) - look_back)


def _all_of(filters: Sequence[str]) -> str:
    return filters[0] if len(filters) == 1 else f"and({','.join(filters)})"


def _day_of(text: Any, zone: ZoneInfo) -> date | None:
    try:
        return records.time_of(text, "time").astimezone(zone).date()
    except Flaw:
        return None


def _page(items: Iterable[Any], check: Callable[[JsonObject], Record], now: datetime | None = None) -> Page:
    """The records of a document. With `now` the page has a cursor: the latest time, but never one still to come,
    for what happens until then would be behind it."""
    good, bad = records.checked(items, check)
    latest = max((record.updated_at for record in good if record.updated_at is not None), default=None)
    cursor = utc_text(min(latest, now)) if latest is not None and now is not None else None
    return Page(good, bad, cursor)

"""Klaviyo's totals: aggregates of a metric per interval, values of campaigns and flows over a time.

Belongs here: reading those requests' bodies, and computing the answer from the account. Does not belong here: HTTP.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from sandbox.company.campaigns import Burst
from sandbox.klaviyo.account import Account, Happening, Json

LONGEST = timedelta(days=366)
MEASUREMENTS = ("count", "sum_value", "unique")
# Zones of the database that Klaviyo does not take.
NOT_TAKEN = frozenset({"Factory", "Europe/Kyiv", "Pacific/Kanton"})
STATISTICS = frozenset(
    """average_order_value bounce_rate bounced bounced_or_failed bounced_or_failed_rate click_rate click_to_open_rate
    clicks clicks_unique conversion_rate conversion_uniques conversion_value conversions delivered delivery_rate failed
    failed_rate message_segment_count_sum open_rate opens opens_unique recipients revenue_per_recipient
    spam_complaint_rate spam_complaints text_message_credit_usage_amount text_message_roi text_message_spend
    unsubscribe_rate unsubscribe_uniques unsubscribes""".split()
)
_GROUPS = {
    "campaign": frozenset(
        """campaign_id campaign_message_id campaign_message_name group group_name send_channel tag_id tag_name
        text_message_format variation variation_name""".split()
    ),
    "flow": frozenset(
        """flow_id flow_message_id flow_message_name flow_name send_channel tag_id tag_name text_message_format
        variation variation_name""".split()
    ),
}


class BadBody(ValueError):
    """The body asks for something wrong; `pointer` says where."""

    def __init__(self, detail: str, pointer: str) -> None:
        super().__init__(detail)
        self.pointer = pointer


def attributes_of(body: Any, kind: str, allowed: frozenset[str], needed: Sequence[str]) -> Json:
    """The attributes of a request's body. Raises `BadBody`."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        raise BadBody("The payload provided in the request is invalid.", "/data")
    if data.get("type") != kind:
        raise BadBody(f"'{data.get('type')}' is not a valid resource type: '{kind}' is", "/data/type")
    attributes = data.get("attributes")
    if not isinstance(attributes, dict):
        raise BadBody("'attributes' is a required field.", "/data/attributes")
    for name in attributes:
        if name not in allowed:
            raise BadBody(f"'{name}' is not a valid field for the resource '{kind}'.", f"/data/attributes/{name}")
    for name in needed:
        if attributes.get(name) in (None, "", []):
            raise BadBody(f"'{name}' is a required field.", f"/data/attributes/{name}")
    return attributes


# Metric aggregates ----------------------------------------------------------------------------------------------

_AGGREGATE_FIELDS = frozenset(
    "metric_id page_cursor measurements interval page_size by return_fields filter timezone sort".split()
)
_BY = frozenset({"$attributed_message", "$attributed_flow", "$value_currency"})


def aggregates(account: Account, body: Any) -> Json:
    asked = attributes_of(body, "metric-aggregate", _AGGREGATE_FIELDS, ("metric_id", "measurements", "filter"))
    if asked["metric_id"] not in account.objects["metric"]:
        raise BadBody(f"Metric with id {asked['metric_id']} does not exist.", "/data/attributes/metric_id")
    measurements = asked["measurements"]
    if not isinstance(measurements, list) or set(measurements) - set(MEASUREMENTS):
        raise BadBody(f"measurements must be among {MEASUREMENTS}.", "/data/attributes/measurements")
    zone = _zone(asked.get("timezone") or "UTC")
    by = asked.get("by") or []
    if set(by) - _BY:
        raise BadBody("This attribute cannot be used for this metric.", "/data/attributes/by")
    start, end = _range(asked["filter"], zone)
    edges = _edges(start, end, asked.get("interval") or "day", zone)
    rows: dict[tuple[str, ...], dict[str, list[float]]] = {}
    metric = asked["metric_id"]
    groups: dict[tuple[str, ...], list[Happening]] = {} if by else {(): []}
    for event in _single(account, metric, start, end):
        groups.setdefault(_group(account, event, by), []).append(event)
    volumes = [0] * (len(edges) - 1) if by else account.volumes(metric, edges)
    for group, events in sorted(groups.items()):
        moments = [event.at for event in events]
        series: dict[str, list[float]] = {name: [] for name in measurements}
        for (first, last), more in zip(pairwise(edges), volumes, strict=True):
            of_interval = events[bisect_left(moments, first) : bisect_left(moments, last)]
            known = {
                "count": float(len(of_interval) + more),
                "unique": float(len({event.profile for event in of_interval}) + more),
                "sum_value": float(sum((e.value for e in of_interval if e.value is not None), Decimal(0))),
            }
            for name in measurements:
                series[name].append(known[name])
        rows[group] = series
    return {
        "dates": [edge.astimezone(UTC).isoformat() for edge in edges[:-1]],
        "data": [{"dimensions": list(group), "measurements": series} for group, series in rows.items()],
    }


def _single(account: Account, metric: str, start: datetime, end: datetime) -> list[Happening]:
    return [
        each
        for day, events in sorted(account.by_day().items())
        if start.astimezone(UTC).date() <= day <= end.astimezone(UTC).date()
        for each in events
        if each.metric == metric and start <= each.at < end
    ]


def _group(account: Account, event: Happening, by: Sequence[str]) -> tuple[str, ...]:
    found = []
    for name in by:
        if name == "$value_currency":
            found.append(account.currency)
        else:
            flows = {flow.id for flow in account.story.flows}
            of_flow = event.attributed in flows
            found.append(event.attributed or "" if of_flow == (name == "$attributed_flow") else "")
    return tuple(found)


def _zone(name: Any) -> ZoneInfo:
    if not isinstance(name, str) or name in NOT_TAKEN or name not in available_timezones():
        raise BadBody(f"{name!r} is not a valid timezone.", "/data/attributes/timezone")
    return ZoneInfo(name)


def _range(filters: Any, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The time range of a list of filters; a moment without an offset is of the zone asked for."""
    pointer = "/data/attributes/filter"
    found: dict[str, datetime] = {}
    if not isinstance(filters, list):
        raise BadBody("filter must be a list.", pointer)
    for text in filters:
        operator, _, rest = str(text).partition("(")
        name, _, value = rest.removesuffix(")").partition(",")
        if operator not in ("greater-or-equal", "less-than") or name.strip() != "datetime":
            raise BadBody(f"'{text}' is not a valid filter: a time range is needed.", pointer)
        try:
            at = datetime.fromisoformat(value.strip())
        except ValueError:
            raise BadBody(f"'{value}' is not a valid datetime.", pointer) from None
        found[operator] = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    if len(found) != 2:
        raise BadBody("A greater-or-equal and a less-than filter on datetime are required.", pointer)
    start, end = found["greater-or-equal"], found["less-than"]
    if end <= start or end - start > LONGEST:
        raise BadBody("The time range must be positive and at most one year.", pointer)
    return start, end


def _edges(start: datetime, end: datetime, interval: str, zone: ZoneInfo) -> list[datetime]:
    if interval not in ("hour", "day", "week", "month"):
        raise BadBody(f"'{interval}' is not a valid interval.", "/data/attributes/interval")
    local = start.astimezone(zone)
    # Wall-clock steps, so that a day of a changing clock has 23 or 25 hours.
    at = local.replace(minute=0, second=0, microsecond=0)
    if interval != "hour":
        at = at.replace(hour=0)
    if interval == "week":
        at -= timedelta(days=at.weekday())
    if interval == "month":
        at = at.replace(day=1)
    edges = []
    while at < end:
        edges.append(at)
        if interval == "hour":
            at = (at.astimezone(UTC) + timedelta(hours=1)).astimezone(zone)
        elif interval == "month":
            at = (at + timedelta(days=32)).replace(day=1)
        else:
            at += timedelta(days=7 if interval == "week" else 1)
    edges = [max(edge, start) if place == 0 else edge for place, edge in enumerate(edges)]
    return [*edges, end.astimezone(zone)]


# Values reports -------------------------------------------------------------------------------------------------


def values(account: Account, kind: str, body: Any) -> list[Json]:
    """The results of a campaign or flow values report."""
    fields = frozenset({"statistics", "timeframe", "conversion_metric_id", "group_by", "filter"})
    asked = attributes_of(
        body, f"{kind}-values-report", fields, ("statistics", "timeframe", "conversion_metric_id")
    )  # fmt: skip
    unknown = set(asked["statistics"]) - STATISTICS
    if unknown:
        raise BadBody(f"{', '.join(sorted(unknown))}: not a statistic.", "/data/attributes/statistics")
    metric = asked["conversion_metric_id"]
    if metric not in account.objects["metric"]:
        raise BadBody("Conversion metric not found.", "/data/attributes/conversion_metric_id")
    groups = asked.get("group_by") or [f"{kind}_id", f"{kind}_message_id", "send_channel"]
    if set(groups) - _GROUPS[kind] or not {f"{kind}_id", f"{kind}_message_id"} <= set(groups):
        raise BadBody("group_by must have the ids and may have only known attributes.", "/data/attributes/group_by")
    start, end = _timeframe(account, asked["timeframe"])
    brought = account.brought(metric)
    results = []
    if kind == "campaign":
        for campaign, channel in account.sent():
            if campaign.send_time is not None and start <= campaign.send_time < end:
                known = {"campaign_id": campaign.id, "campaign_message_id": campaign.message_id,
                         "campaign_message_name": campaign.name, "send_channel": channel}  # fmt: skip
                counts = _counts(campaign.bursts, None, account.clock.now())
                counts["recipients"] = counts["delivered"] + counts["bounced"]
                results.append(_result(asked, groups, known, counts, brought.get(campaign.id, ())))
        return results
    for flow in account.flows():
        counts = _counts(flow.bursts, start, min(end, account.clock.now()))
        counts["recipients"] = counts["delivered"] + counts["bounced"]
        orders = [each for each in brought.get(flow.id, ()) if start <= each.at < end]
        if counts["recipients"] or orders:
            known = {"flow_id": flow.id, "flow_message_id": flow.message_id, "flow_name": flow.name,
                     "flow_message_name": flow.name, "send_channel": "email"}  # fmt: skip
            results.append(_result(asked, groups, known, counts, orders))
    return results


def _timeframe(account: Account, said: Any) -> tuple[datetime, datetime]:
    """A timeframe in the account's zone; what offset it is written with does not matter."""
    pointer = "/data/attributes/timeframe"
    zone = ZoneInfo(account.zone)
    if not isinstance(said, dict):
        raise BadBody("timeframe must be an object.", pointer)
    if "key" in said:
        today = account.clock.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        spans = {"today": (0, 1), "yesterday": (1, 1), "last_7_days": (7, 7), "last_30_days": (30, 30),
                 "last_90_days": (90, 90), "last_365_days": (365, 365)}  # fmt: skip
        if said["key"] not in spans:
            raise BadBody(f"'{said['key']}' is not a valid timeframe key.", f"{pointer}/key")
        back, length = spans[said["key"]]
        return today - timedelta(days=back), today - timedelta(days=back - length)
    try:
        start, end = (datetime.fromisoformat(str(said[name])).replace(tzinfo=zone) for name in ("start", "end"))
    except (KeyError, ValueError):
        raise BadBody("A timeframe has a key, or a start and an end.", pointer) from None
    if end <= start or end - start > LONGEST:
        raise BadBody("The timeframe must be positive and at most one year.", pointer)
    return start, end


def _counts(bursts: Sequence[Burst], start: datetime | None, end: datetime) -> dict[str, float]:
    found = dict.fromkeys(("received", "bounced", "opened", "clicked", "unsubscribed", "spam"), 0)
    for burst in bursts:
        found[burst.kind] = (
            found.get(burst.kind, 0) + burst.until(end) - (burst.until(start) if start is not None else 0)
        )
    opens, clicks = found["opened"], found["clicked"]
    return {
        "delivered": float(found["received"]),
        "bounced": float(found["bounced"]),
        # The same person opens again now and then; of bursts only the first is kept.
        "opens": float(opens + opens // 3),
        "opens_unique": float(opens),
        "clicks": float(clicks + clicks // 5),
        "clicks_unique": float(clicks),
        "unsubscribe_uniques": float(found["unsubscribed"]),
        "unsubscribes": float(found["unsubscribed"]),
        "spam_complaints": float(found["spam"]),
    }


def _result(
    asked: Json, groups: Sequence[str], known: Mapping[str, Any], counts: dict[str, float], orders: Sequence[Happening]
) -> Json:
    value = sum((each.value for each in orders if each.value is not None), Decimal(0))
    counts |= {
        "conversions": float(len(orders)),
        "conversion_uniques": float(len({each.profile for each in orders})),
        "conversion_value": float(value),
    }
    for name, part, whole in (
        ("open_rate", "opens_unique", "delivered"),
        ("click_rate", "clicks_unique", "delivered"),
        ("click_to_open_rate", "clicks_unique", "opens_unique"),
        ("bounce_rate", "bounced", "recipients"),
        ("delivery_rate", "delivered", "recipients"),
        ("conversion_rate", "conversion_uniques", "delivered"),
        ("unsubscribe_rate", "unsubscribe_uniques", "delivered"),
        ("spam_complaint_rate", "spam_complaints", "delivered"),
        ("revenue_per_recipient", "conversion_value", "recipients"),
        ("average_order_value", "conversion_value", "conversions"),
    ):
        counts[name] = counts[part] / counts[whole] if counts[whole] else 0.0
    return {
        "groupings": {name: known.get(name) for name in groups},
        "statistics": {name: counts.get(name, 0.0) for name in asked["statistics"]},
    }

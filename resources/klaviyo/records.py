"""Klaviyo's objects as they land: what is kept of each, and why one is refused.

Belongs here: one function for each kind of record. Does not belong here: asking for them (`source.py`), checks that
mean the same for every vendor (`resources/record_checks.py`).

Personal data stays out, of what is refused and set aside too: of an event neither the profile nor anything of the
order but its names, amounts and channel; of an account no address; of a message no sender's mailbox. Klaviyo writes
amounts as JSON numbers: they land as decimal text, digit for digit.

What a record cannot be checked without, and does not say itself (the metric an event was asked of, the channel of a
campaign), is put beside it before it is checked (`kept_…`), so that a refused one can be checked again by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ops_platform.failures import TransientFailure
from ops_platform.records import JsonObject, Record, Rejected
from ops_platform.zones import zone_of
from resources.klaviyo.streams import STATISTICS
from resources.record_checks import (
    INVALID_MONEY,
    INVALID_NUMBER,
    INVALID_SHAPE,
    MISSING_FIELD,
    MISSING_ID,
    Flaw,
    currency,
    decimal_text,
    moment,
    optional_flags,
    rejected,
    text_id,
    whole_number,
)

# Of an order's event: what names the order, its amounts, and where it came from.
EVENT_PROPERTIES = (
    "$event_id", "$value", "$value_currency", "$currency_code", "OrderId", "Order Number", "Item Count",
    "Discount Codes", "Discount Code", "Discount Value", "Total Discounts", "Source Name",
)  # fmt: skip
# Of the shop's own order within it.
ORDER_PROPERTIES = ("id", "name", "order_number", "currency", "created_at", "source_name", "cancelled_at")
_MONEY_PROPERTIES = frozenset({"$value", "Discount Value", "Total Discounts"})
# The same under one type, whichever way the shop's integration wrote it.
_TEXT_PROPERTIES = frozenset({"$event_id", "OrderId", "Order Number", "id", "order_number", "name"})
_CONTENT = ("subject", "preview_text", "from_label", "body", "title")


def checked(
    items: Iterable[Any], check: Any, identity: str = "id"
) -> tuple[list[Record], list[Rejected]]:  # fmt: skip
    """Records of those items that `check` lets pass, and the rest with the reason."""
    good: list[Record] = []
    bad: list[Rejected] = []
    for item in items:
        try:
            if not isinstance(item, dict):
                raise Flaw(INVALID_SHAPE, "not an object")
            good.append(check(item))
        except Flaw as flaw:
            known = item.get(identity) if isinstance(item, dict) else None
            bad.append(rejected(item, flaw, known if isinstance(known, str) else None))
    return good, bad


# -- parts ----------------------------------------------------------------------------------------------------


def identity_of(item: JsonObject) -> str:
    identity = item.get("id")
    if not isinstance(identity, str) or not identity:
        raise Flaw(MISSING_ID, f"id is {identity!r}")
    return identity


def attributes_of(item: JsonObject) -> JsonObject:
    found = item.get("attributes")
    if not isinstance(found, dict):
        raise Flaw(INVALID_SHAPE, "attributes are not an object")
    return found


def time_of(value: Any, where: str) -> datetime:
    """A time; one without a zone is UTC, as Klaviyo writes it for lists and metrics."""
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if parsed.tzinfo is None:
                return moment(parsed.replace(tzinfo=UTC).isoformat(), where)
    return moment(value, where)


def zoned(value: Any, where: str) -> Any:
    """A time as it was written, with its zone said where Klaviyo leaves it out."""
    if value is None:
        return None
    at = time_of(value, where)
    return value if datetime.fromisoformat(value).tzinfo is not None else at.isoformat()


def optional_time(value: Any, where: str) -> datetime | None:
    return None if value is None else time_of(value, where)


def number_text(value: Any, where: str, reason: str = INVALID_NUMBER) -> str:
    """A number as decimal text, digit for digit; a number already written as text stays."""
    if isinstance(value, bool):
        raise Flaw(reason, f"{where} is {value!r}, not a number")
    if isinstance(value, int | Decimal):
        if isinstance(value, Decimal) and not value.is_finite():
            raise Flaw(reason, f"{where} is {value}, not a number")
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    text = value.strip() if isinstance(value, str) else value
    decimal_text(text, where, reason)
    return str(text)


def asked_of(item: JsonObject, name: str) -> Any:
    """What was put beside an object when it was asked for. Raises `Flaw` for one that was kept without it."""
    if name not in item:
        raise Flaw(MISSING_FIELD, f"was kept without its {name}, which only Klaviyo knows")
    return item[name]


def related(item: JsonObject, name: str) -> list[str]:
    """The ids an object is related to under `name`, one or many."""
    found = item.get("relationships")
    relation = found.get(name) if isinstance(found, dict) else None
    data = relation.get("data") if isinstance(relation, dict) else None
    entries = data if isinstance(data, list) else [data]
    return [str(each["id"]) for each in entries if isinstance(each, dict) and each.get("id")]


def included(document: JsonObject, kind: str) -> dict[str, JsonObject]:
    """What a document includes of one type, by id."""
    found = document.get("included")
    return {
        str(item["id"]): item
        for item in (found if isinstance(found, list) else [])
        if isinstance(item, dict) and item.get("type") == kind and item.get("id")
    }


# -- records --------------------------------------------------------------------------------------------------


_ACCOUNT = ("timezone", "preferred_currency", "locale", "industry", "test_account")


def kept_account(item: Any) -> Any:
    """The account without its addresses."""
    found = item.get("attributes") if isinstance(item, dict) else None
    if not isinstance(found, dict):
        return item
    contact = found.get("contact_information")
    name = contact.get("organization_name") if isinstance(contact, dict) else None
    kept = {**{key: found.get(key) for key in _ACCOUNT}, "contact_information": {"organization_name": name}}
    return {"id": item.get("id"), "attributes": kept}


def account(item: JsonObject) -> Record:
    """An account, whose addresses do not land."""
    item = kept_account(item)
    identity, found = identity_of(item), attributes_of(item)
    zone(found.get("timezone"))
    optional_flags(found, "account", "test_account")
    currency(found.get("preferred_currency"), "preferred_currency")
    kept = {key: found[key] for key in _ACCOUNT}
    return Record(identity, {"id": identity, **kept, **found["contact_information"]})


def zone(name: Any) -> ZoneInfo:
    """The zone of that IANA name, or `Flaw`."""
    try:
        return zone_of(name)
    except ValueError:
        raise Flaw(INVALID_SHAPE, f"timezone is {name!r}, not an IANA zone") from None


def metric(item: JsonObject) -> Record:
    identity, found = identity_of(item), attributes_of(item)
    integration = found.get("integration")
    known = integration if isinstance(integration, dict) else {}
    return Record(
        identity,
        {
            "id": identity,
            "name": found.get("name"),
            "created": zoned(found.get("created"), "created"),
            "updated": zoned(found.get("updated"), "updated"),
            "integration": {key: known.get(key) for key in ("id", "name", "category")},
        },
        optional_time(found.get("updated"), "updated"),
    )


def audience(item: JsonObject) -> Record:
    """A list or a segment."""
    identity, found = identity_of(item), attributes_of(item)
    kept = ("name", "opt_in_process", "is_active", "is_processing", "is_starred")
    optional_flags(found, "", "is_active", "is_processing", "is_starred")
    payload = {"id": identity, **{key: found[key] for key in kept if key in found}, **_times(found)}
    return Record(identity, payload, optional_time(found.get("updated"), "updated"))


def flow(item: JsonObject) -> Record:
    identity, found = identity_of(item), attributes_of(item)
    kept = ("name", "status", "archived", "trigger_type")
    optional_flags(found, "", "archived")
    payload = {"id": identity, **{key: found.get(key) for key in kept}, **_times(found)}
    return Record(identity, payload, optional_time(found.get("updated"), "updated"))


def _times(found: JsonObject) -> JsonObject:
    return {name: zoned(found.get(name), name) for name in ("created", "updated")}


def kept_campaign(item: Any, channel: str, messages: Mapping[str, JsonObject]) -> Any:
    """A campaign with the channel it was asked for and its messages beside it."""
    if not isinstance(item, dict):
        return item
    texts = [_message(each, messages.get(each)) for each in related(item, "campaign-messages")]
    return {"id": item.get("id"), "attributes": item.get("attributes"), "channel": channel, "messages": texts}


def campaign(item: JsonObject) -> Record:
    """A campaign as `kept_campaign` leaves it."""
    identity, found = identity_of(item), attributes_of(item)
    updated = time_of(found.get("updated_at"), "updated_at")
    for name in ("created_at", "scheduled_at", "send_time"):
        optional_time(found.get(name), name)
    if not isinstance(found.get("status"), str):
        raise Flaw(MISSING_FIELD, f"status is {found.get('status')!r}")
    optional_flags(found, "", "archived")
    strategy = found.get("send_strategy")
    kept = ("name", "status", "archived", "created_at", "scheduled_at", "send_time", "updated_at", "audiences")
    payload = {
        "id": identity,
        "channel": asked_of(item, "channel"),
        **{key: found.get(key) for key in kept},
        "send_method": strategy.get("method") if isinstance(strategy, dict) else None,
        "messages": asked_of(item, "messages"),
    }
    return Record(identity, payload, updated)


def _message(identity: str, message: JsonObject | None) -> JsonObject:
    found = message.get("attributes") if message is not None else None
    definition = found.get("definition") if isinstance(found, dict) else None
    if not isinstance(definition, dict):
        return {"id": identity, "channel": None, "label": None, **dict.fromkeys(_CONTENT)}
    content = definition.get("content")
    texts = content if isinstance(content, dict) else {}
    return {
        "id": identity,
        "channel": definition.get("channel"),
        "label": definition.get("label"),
        **{key: texts.get(key) for key in _CONTENT},
    }


def kept_event(item: Any, metric: JsonObject, attributions: Mapping[str, JsonObject]) -> Any:
    """An event without the person, with the metric it was asked of and the messages it is attributed to beside it."""
    if not isinstance(item, dict):
        return item
    found = item.get("attributes")
    if isinstance(found, dict):
        kept = {"datetime": found.get("datetime"), "uuid": found.get("uuid")}
        found = {**kept, "event_properties": _without_person(found.get("event_properties"))}
    return {
        "id": item.get("id"),
        "attributes": found,
        "metrics": related(item, "metric"),
        "metric": {"id": metric["id"], "name": metric["name"]},
        "attributions": [_attribution(each, attributions.get(each)) for each in related(item, "attributions")],
    }


def _without_person(said: Any) -> Any:
    if not isinstance(said, dict):
        return said if said is None else f"{type(said).__name__}, not an object"
    kept = {key: said[key] for key in EVENT_PROPERTIES if key in said}
    order = said.get("$extra")
    if isinstance(order, dict):
        kept["$extra"] = {key: order[key] for key in ORDER_PROPERTIES if key in order}
    return kept


def event(item: JsonObject) -> Record:
    """An event as `kept_event` leaves it: when, how much, which order, and the message it is attributed to."""
    identity, found, metric = identity_of(item), attributes_of(item), asked_of(item, "metric")
    at = moment(found.get("datetime"), "datetime")
    of = item.get("metrics")
    if of and of != [metric["id"]]:
        raise Flaw(INVALID_SHAPE, f"belongs to the metric {of[0]}, not to {metric['id']} that was asked for")
    said = found.get("event_properties")
    if said is not None and not isinstance(said, dict):
        raise Flaw(INVALID_SHAPE, "event_properties are not an object")
    return Record(
        identity,
        {
            "id": identity,
            "datetime": found["datetime"],
            "uuid": found.get("uuid"),
            "metric_id": metric["id"],
            "metric_name": metric["name"],
            "properties": _properties(said or {}),
            "attributions": asked_of(item, "attributions"),
        },
        at,
    )


def _properties(said: JsonObject) -> JsonObject:
    kept: JsonObject = {key: _plain(key, said[key]) for key in EVENT_PROPERTIES if key in said}
    order = said.get("$extra")
    if isinstance(order, dict):
        kept["order"] = {key: _plain(key, order[key]) for key in ORDER_PROPERTIES if key in order}
    for name in ("$value_currency", "$currency_code"):
        if kept.get(name):
            currency(kept[name], name)
    return kept


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _MONEY_PROPERTIES:
        return number_text(value, name, INVALID_MONEY)
    if name in _TEXT_PROPERTIES:
        return text_id(int(value) if isinstance(value, Decimal) and value == int(value) else value, name)
    return _without_decimals(value)


def _without_decimals(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        return [_without_decimals(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_decimals(each) for key, each in value.items()}
    return value


def _attribution(identity: str, item: JsonObject | None) -> JsonObject:
    names = ("campaign", "campaign-message", "flow", "flow-message")
    found: JsonObject = {"id": identity}
    for name in names:
        ids = related(item, name) if item is not None else []
        found[f"{name.replace('-', '_')}_id"] = ids[0] if ids else None
    return found


# -- totals and statistics ----------------------------------------------------------------------------------


def days_of(document: JsonObject, account_zone: ZoneInfo) -> list[date]:
    """The days of the account an aggregate's answer speaks of, in its order. Klaviyo names a day by the instant it
    begins; one without an offset is in the account's zone already."""
    found = []
    for text in document["data"]["attributes"]["dates"]:
        try:
            at = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            raise TransientFailure(f"klaviyo: metric-aggregates names a day {text!r}") from None
        found.append((at if at.tzinfo is None else at.astimezone(account_zone)).date())
    if len(set(found)) != len(found):
        raise TransientFailure("klaviyo: metric-aggregates names a day twice")
    return found


def measured(document: JsonObject, days: Sequence[date], measurements: Sequence[str]) -> dict[date, list[Decimal]]:
    """The measurements of every day, in the order asked for; rows of several dimensions are added up."""
    totals = {day: [Decimal(0)] * len(measurements) for day in days}
    for row in document["data"]["attributes"]["data"]:
        values = row.get("measurements") if isinstance(row, dict) else None
        if not isinstance(values, dict):
            raise TransientFailure("klaviyo: metric-aggregates answered a row without measurements")
        for place, name in enumerate(measurements):
            series = values.get(name)
            if not isinstance(series, list) or len(series) != len(days):
                raise TransientFailure(f"klaviyo: metric-aggregates answered {name} for other days than it names")
            for day, value in zip(days, series, strict=True):
                totals[day][place] += _amount(value, name)
    return totals


#: Of a day. What is more than that is none, and a thousand of them still fit a table's whole numbers.
_MOST_OF_A_DAY = 10**15


def _amount(value: Any, name: str) -> Decimal:
    if value is None:
        return Decimal(0)
    number = None if isinstance(value, bool) or not isinstance(value, int | Decimal) else Decimal(value)
    if number is None or not number.is_finite() or abs(number) > _MOST_OF_A_DAY:
        said = str(value)[:80]
        raise TransientFailure(f"klaviyo: metric-aggregates answered {name} = {said}, not a number that can be")
    return number


def kept_values(row: Any, names: Sequence[str], more: Mapping[str, str]) -> Any:
    """A report's row with what it was grouped by and the period it was asked for beside it."""
    return {**row, "names": list(names), "more": dict(more)} if isinstance(row, dict) else row


def values(row: JsonObject) -> Record:
    """A report's row as `kept_values` leaves it."""
    names, more = asked_of(row, "names"), asked_of(row, "more")
    found = groupings_of(row, names)
    parts = [*(str(found[name]) for name in names), *more.values()]
    payload = {"id": ":".join(parts), **found, **more, "statistics": statistics_of(row, STATISTICS)}
    return Record(str(payload["id"]), payload)


def statistics_of(row: JsonObject, names: Sequence[str]) -> JsonObject:
    """A report's statistics as decimal text; one that is not there is unknown."""
    found = row.get("statistics")
    if not isinstance(found, dict):
        raise Flaw(INVALID_SHAPE, "statistics are not an object")
    return {name: None if found.get(name) is None else _statistic(name, found[name]) for name in names}


def _statistic(name: str, value: Any) -> str:
    text = number_text(value, name)
    return text if name == "conversion_value" else str(whole_number(text, name))


def groupings_of(row: JsonObject, names: Sequence[str]) -> JsonObject:
    """What a report's row is about. Raises `Flaw` when one of the ids is missing."""
    found = row.get("groupings")
    if not isinstance(found, dict):
        raise Flaw(INVALID_SHAPE, "groupings are not an object")
    for name in names:
        if name.endswith("_id"):
            text_id(found.get(name), name)
    return {name: found.get(name) for name in names}

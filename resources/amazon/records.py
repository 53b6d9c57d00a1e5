"""What Amazon's records look like here: the streams, what is kept of each record, and what it must have to land.

Belongs here: entities and their checks. Does not belong here: asking for them (`orders.py`, `source.py`,
`reports.py`).

Of a buyer nothing is kept: the data sets BUYER and RECIPIENT are never asked for, and should an answer hold them,
or a gift message, or a customised text, they are cut off before the record goes on. Amounts stay the text Amazon
sent; where one came as a number, its digits.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.failures import TransientFailure
from ops_platform.ingestion.contract import Field, Stream
from ops_platform.records import JsonObject, Record, Rejected
from resources.record_checks import (
    INVALID_MONEY,
    INVALID_NUMBER,
    INVALID_SHAPE,
    LARGEST_INT,
    MISSING_FIELD,
    Flaw,
    currency,
    decimal_text,
    is_integer,
    moment,
    optional_integers,
    optional_moments,
    rejected,
    small_enough,
    text_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VENDOR = "amazon"

STREAMS = {
    stream.name: stream
    for stream in (
        Stream(
            VENDOR,
            "orders",
            "Orders with their items and proceeds, without anything about the buyer",
            # Amazon promises two minutes; what it settles later (prices of pending orders) shows as an update.
            look_back=timedelta(hours=2),
            ties_out=True,
            grain="one row per order",
            # Not there while an order is pending; a quiet night may bring pending ones alone.
            fields={
                path: Field("object|null", required=False)
                for path in ("proceeds", "orderItems[].proceeds", "orderItems[].product.price", "fulfillment")
            },
        ),
        Stream(
            VENDOR,
            "inventory_summaries",
            "Units in Amazon's fulfilment network by seller SKU, with what they wait for",
            full_refresh=True,
            ties_out=True,
            grain="one row per seller SKU",
        ),
        Stream(
            VENDOR,
            "listings",
            "Listings with their status and issues",
            full_refresh=True,
            ties_out=True,
            grain="one row per seller SKU",
        ),
        Stream(
            VENDOR,
            "account_health",
            "Account status and performance metrics as the seller performance report tells them",
            no_tie_out="a report is one document with nothing of Amazon's to count it against",
            grain="one row per report and marketplace",
        ),
    )
}

_FRACTIONS = frozenset({"amount", "rate", "targetValue", "value"})
_LISTS = frozenset(
    {"actions", "associatedOrders", "breakdowns", "categories", "issues", "orderAliases", "orderItems", "summaries"}
)
PRIVATE = frozenset({"buyer", "recipient", "packages", "payment", "tax", "fulfillmentOrders"})

# -- orders -------------------------------------------------------------------------------------------------


def kept_of_order(order: JsonObject) -> JsonObject:
    """The order without its buyer, amounts as text."""
    kept: JsonObject = exact({key: value for key, value in order.items() if key not in PRIVATE})
    items = kept.get("orderItems")
    if isinstance(items, list):
        kept["orderItems"] = [_kept_of_item(item) if isinstance(item, dict) else item for item in items]
    return kept


def _kept_of_item(item: JsonObject) -> JsonObject:
    kept = {key: value for key, value in item.items() if key != "tax"}
    product = kept.get("product")
    if isinstance(product, dict):
        kept["product"] = {key: value for key, value in product.items() if key != "customization"}
    fulfilment = kept.get("fulfillment")
    if isinstance(fulfilment, dict):
        # Packing holds what the buyer wrote on a gift card.
        kept["fulfillment"] = {key: value for key, value in fulfilment.items() if key != "packing"}
    return kept


def check_order(order: JsonObject) -> Record:
    identity = text_id(order.get("orderId"), "orderId")
    small_enough(len(str(order)))
    moment(order.get("createdTime"), "createdTime")
    updated = moment(order.get("lastUpdatedTime"), "lastUpdatedTime")
    channel = order.get("salesChannel")
    if not isinstance(channel, dict) or not isinstance(channel.get("channelName"), str):
        raise Flaw(MISSING_FIELD, "salesChannel.channelName is missing")
    fulfilment = order.get("fulfillment")
    if fulfilment is not None and not (
        isinstance(fulfilment, dict) and isinstance(fulfilment.get("fulfillmentStatus"), str)
    ):
        raise Flaw(MISSING_FIELD, "fulfillment has no fulfillmentStatus")
    window = fulfilment.get("shipByWindow") if fulfilment is not None else None
    if isinstance(window, dict):
        optional_moments(window, "shipByWindow", "latestDateTime")
    for key in ("orderAliases", "associatedOrders"):
        if not isinstance(order.get(key, []), list):
            raise Flaw(INVALID_SHAPE, f"{key} is not a list")
    items = order.get("orderItems")
    if not isinstance(items, list):
        raise Flaw(MISSING_FIELD, "orderItems is missing")
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, dict):
            raise Flaw(INVALID_SHAPE, "an item is not an object")
        item_id = text_id(item.get("orderItemId"), "orderItems.orderItemId")
        if item_id in seen:
            raise Flaw(INVALID_SHAPE, f"the item {item_id} is there twice")
        seen.add(item_id)
        quantity = item.get("quantityOrdered")
        if quantity is None or not is_integer(quantity) or quantity < 0:
            raise Flaw(INVALID_NUMBER, f"quantityOrdered of {item_id} is {quantity!r}")
        if isinstance(item.get("fulfillment"), dict):
            optional_integers(item["fulfillment"], item_id, "quantityFulfilled", "quantityUnfulfilled")
        if not isinstance(item.get("product"), dict):
            raise Flaw(MISSING_FIELD, f"the item {item_id} has no product")
        _check_item_money(item, item_id)
    proceeds = order.get("proceeds")
    if isinstance(proceeds, dict):
        _check_money(proceeds.get("grandTotal"), "proceeds.grandTotal")
        _check_breakdowns(proceeds, "proceeds")
    return Record(identity, order, updated)


def _check_item_money(item: JsonObject, item_id: str) -> None:
    price = item["product"].get("price")
    if isinstance(price, dict):
        _check_money(price.get("unitPrice"), f"unitPrice of {item_id}")
    proceeds = item.get("proceeds")
    if isinstance(proceeds, dict):
        _check_money(proceeds.get("proceedsTotal"), f"proceedsTotal of {item_id}")
        _check_breakdowns(proceeds, f"proceeds of {item_id}")


def _check_breakdowns(proceeds: JsonObject, where: str) -> None:
    breakdowns = proceeds.get("breakdowns")
    if breakdowns is None:
        return
    if not isinstance(breakdowns, list) or not all(isinstance(part, dict) for part in breakdowns):
        raise Flaw(INVALID_SHAPE, f"breakdowns in {where} is not a list of objects")
    for part in breakdowns:
        if not isinstance(part.get("type"), str):
            raise Flaw(MISSING_FIELD, f"a breakdown in {where} has no type")
        _check_money(part.get("subtotal"), f"{part['type']} in {where}", required=True)


def _check_money(value: Any, where: str, *, required: bool = False) -> None:
    """`{"amount": "12.34", "currencyCode": "USD"}`; absent while Amazon does not know it yet."""
    if value is None and not required:
        return
    if not isinstance(value, dict):
        raise Flaw(INVALID_MONEY, f"{where} is not an amount with its currency")
    decimal_text(value.get("amount"), where, INVALID_MONEY)
    currency(value.get("currencyCode"), where)


# -- inventory ------------------------------------------------------------------------------------------------


_ONE_NUMBER = frozenset(
    {"fulfillableQuantity", "inboundWorkingQuantity", "inboundShippedQuantity", "inboundReceivingQuantity"}
)


def check_summary(summary: JsonObject) -> Record:
    identity = text_id(summary.get("sellerSku"), "sellerSku")
    optional_integers(summary, identity, "totalQuantity", most=LARGEST_INT)
    details = summary.get("inventoryDetails")
    if details is not None and not isinstance(details, dict):
        raise Flaw(INVALID_SHAPE, "inventoryDetails is not an object")
    for name, value in (details or {}).items():
        # A number of units, or such numbers by what the units wait for.
        of = value if isinstance(value, dict) and name not in _ONE_NUMBER else {name: value}
        optional_integers(of, identity, *(key for key in of if key.endswith("Quantity")), most=LARGEST_INT)
    said = summary.get("lastUpdatedTime")
    # Empty for a SKU that never had stock.
    updated = moment(said, "lastUpdatedTime") if said not in (None, "") else None
    return Record(identity, summary, updated)


# -- listings ---------------------------------------------------------------------------------------------------


def check_listing(item: JsonObject) -> Record:
    identity = text_id(item.get("sku"), "sku")
    small_enough(len(str(item)))
    for key in ("summaries", "issues"):
        value = item.get(key)
        if value is not None and (not isinstance(value, list) or not all(isinstance(part, dict) for part in value)):
            raise Flaw(INVALID_SHAPE, f"{key} is not a list of objects")
    for issue in item.get("issues") or ():
        if not isinstance(issue.get("severity"), str) or not isinstance(issue.get("code"), str):
            raise Flaw(MISSING_FIELD, "an issue has no code or severity")
        enforcements = issue.get("enforcements")
        actions = enforcements.get("actions", []) if isinstance(enforcements, dict) else []
        if not isinstance(issue.get("categories", []), list) or not isinstance(actions, list):
            raise Flaw(INVALID_SHAPE, "categories or enforcement actions of an issue are no list")
    for summary in item.get("summaries") or ():
        optional_moments(summary, "summaries", "createdDate")
    changes = [
        moment(summary["lastUpdatedDate"], "lastUpdatedDate")
        for summary in item.get("summaries") or ()
        if summary.get("lastUpdatedDate") is not None
    ]
    return Record(identity, item, max(changes, default=None))


# -- account health -----------------------------------------------------------------------------------------------


def health_records(report_id: str, created: datetime, document: Any) -> tuple[list[Record], list[Rejected]]:
    """A record for every marketplace the document speaks of: its account status and its metrics, side by side.

    Raises `TransientFailure` when the document is not such a report at all."""
    if not isinstance(document, dict) or not isinstance(document.get("performanceMetrics"), list):
        raise TransientFailure("amazon: the seller performance report has no performanceMetrics")
    statuses = document.get("accountStatuses")
    known = {
        status["marketplaceId"]: status.get("status")
        for status in (statuses if isinstance(statuses, list) else ())
        if isinstance(status, dict) and isinstance(status.get("marketplaceId"), str)
    }
    good: list[Record] = []
    bad: list[Rejected] = []
    told: set[str] = set()
    for metrics in document["performanceMetrics"]:
        try:
            if not isinstance(metrics, dict):
                raise Flaw(INVALID_SHAPE, "metrics are not an object")
            marketplace = text_id(metrics.get("marketplaceId"), "marketplaceId")
            if marketplace in told:
                raise Flaw(INVALID_SHAPE, f"the marketplace {marketplace} is there twice")
            figures = exact(metrics)
            _check_figures(figures)
        except Flaw as flaw:
            bad.append(rejected(metrics, flaw))
            continue
        told.add(marketplace)
        good.append(_health_record(report_id, created, marketplace, known.get(marketplace), figures))
    for marketplace in known:
        if marketplace not in told:
            good.append(_health_record(report_id, created, marketplace, known[marketplace], None))
    return good, bad


def _check_figures(metrics: JsonObject) -> None:
    """The figures of a metric, or of its parts by who ships."""
    optional_integers(metrics, "", "defectsCount", "orderCount")
    optional_moments(metrics, "", "reportingDateFrom", "reportingDateTo")
    for key, value in metrics.items():
        if key in ("rate", "targetValue") and value is not None:
            decimal_text(value, key)
        elif isinstance(value, dict):
            _check_figures(value)


def _health_record(
    report_id: str, created: datetime, marketplace: str, status: Any, metrics: JsonObject | None
) -> Record:
    payload = {
        "reportId": report_id,
        "reportCreatedTime": created.isoformat(),
        "marketplaceId": marketplace,
        "accountStatus": status,
        "performanceMetrics": metrics,
    }
    return Record(f"{report_id}:{marketplace}", payload, created)


# -- parts ------------------------------------------------------------------------------------------------------


def exact(value: Any) -> Any:
    """`value` ready for JSON without losing a digit: decimals become text, as do amounts and rates sent as integers.
    A list that is null is left out: to Amazon that is one, and SQL tells them apart."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        made = {key: exact(item) for key, item in value.items() if item is not None or key not in _LISTS}
        for key in _FRACTIONS & made.keys():
            # A whole number of something that can have a fraction: text as well, so that a field has one type.
            if isinstance(made[key], int) and not isinstance(made[key], bool):
                made[key] = str(made[key])
        return made
    return value


def checked(
    items: Sequence[Any], check: Callable[[JsonObject], Record], id_key: str
) -> tuple[list[Record], list[Rejected]]:
    """Each item checked; what is refused keeps its id where it has one."""
    good: list[Record] = []
    bad: list[Rejected] = []
    for item in items:
        try:
            if not isinstance(item, dict):
                raise Flaw(INVALID_SHAPE, "not an object")
            good.append(check(item))
        except Flaw as flaw:
            identity = item.get(id_key) if isinstance(item, dict) else None
            bad.append(rejected(item, flaw, identity if isinstance(identity, str) and identity else None))
    return good, bad

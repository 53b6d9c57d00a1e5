"""The operations of the Selling Partner API that a reader uses: their parameters, filters, pages and answers.

Belongs here: what one call means. Does not belong here: tokens, roles, rate limits, faults (`side.py`), the
objects (`world.py`).
"""

from __future__ import annotations

import gzip
import hashlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from sandbox.amazon.errors import Refused, invalid, not_found, unauthorised
from sandbox.amazon.paging import PageToken, mark_of, read_token
from sandbox.amazon.world import PENDING, SELLER, Json, World, iso, money
from sandbox.company.marketplace import CANADA, US

MARKETPLACES = {US: "USD", CANADA: "CAD"}
DATA_SETS = frozenset(
    "BUYER RECIPIENT PROCEEDS EXPENSE PROMOTION CANCELLATION FULFILLMENT PACKAGES TAX PAYMENT "
    "FULFILLMENT_ORDERS".split()
)
PRIVATE_SETS = frozenset({"BUYER", "RECIPIENT"})
STATUSES = frozenset("PENDING_AVAILABILITY PENDING UNSHIPPED PARTIALLY_SHIPPED SHIPPED CANCELLED UNFULFILLABLE".split())
LISTING_SETS = frozenset(
    "summaries attributes issues offers fulfillmentAvailability procurement relationships productTypes".split()
)
TWO_YEARS = timedelta(days=730)
REPORT_KIND = "GET_V2_SELLER_PERFORMANCE_REPORT"
LISTINGS_REACH = 1_000
URL_LIVES = timedelta(minutes=5)
PAGE_FAULTS = frozenset({"repeat_page", "empty_page", "short_page", "duplicate_rows"})


@dataclass(slots=True)
class Report:
    id: str
    created: datetime
    marketplaces: list[str]
    polls_left: int
    end: str
    document: str | None = None
    polls: int = 0

    @property
    def status(self) -> str:
        if self.polls < self.polls_left:
            return "IN_QUEUE" if self.polls == 0 else "IN_PROGRESS"
        return self.end


@dataclass(slots=True)
class Call:
    """One request as an operation sees it. `fault` is the page fault to act out, if any."""

    world: World
    query: dict[str, str]
    now: datetime
    roles: frozenset[str]
    base_url: str
    reports: Reports
    path: dict[str, str] = field(default_factory=dict)
    body: Any = None
    fault: str | None = None

    def only(self, *names: str) -> None:
        """Refuse parameters that the operation does not have."""
        unknown = sorted(set(self.query) - set(names))
        if unknown:
            raise invalid(f"Unknown parameter: {', '.join(unknown)}.")

    def listed(self, name: str) -> list[str]:
        return [part for part in self.query.get(name, "").split(",") if part]

    def moment(self, name: str) -> datetime | None:
        text = self.query.get(name)
        if text is None:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise invalid(f"{name} is not an ISO 8601 date-time.") from None
        if at.tzinfo is None:
            raise invalid(f"{name} has no zone.")
        return at

    def number(self, name: str, default: int, most: int) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise invalid(f"{name} must be between 1 and {most}.")
        return int(text)

    def marketplaces(self, *, most: int = 50, required: bool = True) -> list[str]:
        found = self.listed("marketplaceIds")
        if required and not found:
            raise invalid("marketplaceIds is required.")
        if len(found) > most:
            raise invalid(f"marketplaceIds may have {most} at most.")
        strange = [each for each in found if each not in MARKETPLACES]
        if strange:
            raise unauthorised(f"The seller does not sell in {', '.join(strange)}.")
        return found


class Reports:
    """The reports asked for. `document_lives` by the sandbox clock."""

    def __init__(self) -> None:
        self.made: dict[str, Report] = {}
        self.documents: dict[str, bytes] = {}
        self.compressed = True
        self.polls = 1
        self.next_end = "DONE"

    def add(self, marketplaces: list[str], now: datetime) -> Report:
        number = len(self.made) + 1
        report = Report(f"{50_000_000_000 + number}", now, marketplaces, self.polls, self.next_end)
        self.next_end = "DONE"
        self.made[report.id] = report
        return report


@dataclass(frozen=True, slots=True)
class Answer:
    """`records` is how many records the answer carries, for the ledger."""

    body: Any
    status: int = 200
    records: int = 0


# -- pages ------------------------------------------------------------------------------------------------------


def _page(
    call: Call, items: Sequence[Json], size: int, token_name: str, lives: timedelta
) -> tuple[list[Json], str | None]:
    """One page of `items` and the token of the next, with an armed fault acted out."""
    text = call.query.get(token_name)
    offset = 0
    if text is not None:
        offset = read_token(text, call.query, token_name, call.now, lives).offset
    if call.fault == "repeat_page" and offset >= size:
        offset -= size
    page = list(items[offset : offset + size])
    following = offset + size
    token = None
    if following < len(items):
        token = PageToken(following, call.now, mark_of(call.query, token_name)).text()
    if call.fault == "empty_page":
        return [], None
    if call.fault == "short_page" and len(page) > 1:
        page = page[: len(page) // 2]
    if call.fault == "duplicate_rows" and page:
        page = [page[0], *page]
    return page, token


# -- orders -----------------------------------------------------------------------------------------------------


def search_orders(call: Call) -> Answer:
    call.only(
        "createdAfter", "createdBefore", "lastUpdatedAfter", "lastUpdatedBefore", "fulfillmentStatuses",
        "marketplaceIds", "fulfilledBy", "maxResultsPerPage", "paginationToken", "includedData",
    )  # fmt: skip
    created, updated = call.moment("createdAfter"), call.moment("lastUpdatedAfter")
    if (created is None) == (updated is None):
        raise invalid("Exactly one of createdAfter and lastUpdatedAfter must be given.")
    other = "lastUpdatedBefore" if created is not None else "createdBefore"
    if other in call.query:
        raise invalid(f"{other} does not go with the start that is given.")
    key, after = ("createdTime", created) if created is not None else ("lastUpdatedTime", updated)
    assert after is not None
    before = call.moment("createdBefore" if created is not None else "lastUpdatedBefore")
    latest = call.now - timedelta(minutes=2)
    if before is not None and before < after:
        raise invalid("The end lies before the start.")
    if before is not None and before > latest:
        raise invalid("The end must be at least two minutes before the time of the request.")
    size = call.number("maxResultsPerPage", 100, 100)
    wanted = _data_sets(call)
    statuses, by = call.listed("fulfillmentStatuses"), call.listed("fulfilledBy")
    if set(statuses) - STATUSES or set(by) - {"AMAZON", "MERCHANT"}:
        raise invalid("fulfillmentStatuses or fulfilledBy has an unknown value.")
    marketplaces = call.marketplaces(required=False)
    first, last = iso(after), iso(before or latest)
    oldest = iso(call.now - TWO_YEARS)
    found = [
        order
        for order in call.world.orders.values()
        if first <= order[key] <= last
        and order["createdTime"] >= oldest
        and (not marketplaces or order["salesChannel"].get("marketplaceId") in marketplaces)
        and (not statuses or order["fulfillment"]["fulfillmentStatus"] in statuses)
        and (not by or order["fulfillment"]["fulfilledBy"] in by)
    ]
    # Amazon promises no order: this one is neither that of creation nor that of change.
    found.sort(key=lambda order: hashlib.sha256(order["orderId"].encode()).digest())
    page, token = _page(call, found, size, "paginationToken", timedelta(hours=24))
    answer: Json = {
        "orders": [shown_order(order, wanted) for order in page],
        ("lastUpdatedBefore" if updated is not None else "createdBefore"): last,
    }
    if token is not None:
        answer["pagination"] = {"nextToken": token}
    return Answer(answer, records=len(page))


def get_order(call: Call) -> Answer:
    call.only("includedData")
    found = call.world.orders.get(call.path["order_id"])
    if found is None:
        raise not_found("There is no such order.")
    return Answer({"order": shown_order(found, _data_sets(call))}, records=1)


def _data_sets(call: Call) -> set[str]:
    wanted = set(call.listed("includedData"))
    if wanted - DATA_SETS:
        raise invalid(f"includedData has an unknown value: {', '.join(sorted(wanted - DATA_SETS))}.")
    if wanted & PRIVATE_SETS and "buyers" not in call.roles:
        raise unauthorised("The application lacks the role for personal data.")
    return wanted


def shown_order(order: Json, wanted: set[str]) -> Json:
    """The order with the data sets asked for."""
    hidden = {"buyer": "BUYER", "recipient": "RECIPIENT", "proceeds": "PROCEEDS", "fulfillment": "FULFILLMENT"}
    shown = {key: value for key, value in order.items() if hidden.get(key) is None or hidden[key] in wanted}
    shown["orderItems"] = [
        {key: value for key, value in item.items() if hidden.get(key) is None or hidden[key] in wanted}
        for item in order["orderItems"]
    ]
    return shown


# -- order metrics -----------------------------------------------------------------------------------------------


def order_metrics(call: Call) -> Answer:
    call.only(
        "marketplaceIds", "interval", "granularityTimeZone", "granularity", "buyerType", "fulfillmentNetwork",
        "firstDayOfWeek", "asin", "sku", "amazonProgram",
    )  # fmt: skip
    (marketplace,) = call.marketplaces(most=1)
    first, _, second = call.query.get("interval", "").partition("--")
    try:
        start, end = datetime.fromisoformat(first), datetime.fromisoformat(second)
    except ValueError:
        raise invalid("interval is not two dates separated by two hyphens.") from None
    if start.tzinfo is None or end.tzinfo is None or end <= start:
        raise invalid("interval must be absolute times, the first before the second.")
    granularity = call.query.get("granularity")
    if granularity not in ("Hour", "Day", "Week", "Month", "Year", "Total"):
        raise invalid("granularity is unknown.")
    if granularity not in ("Day", "Total"):
        raise invalid("The sandbox tells days and totals alone.")
    zone = _zone(call, granularity, start, end)
    if start < call.now - TWO_YEARS - timedelta(days=1):
        raise invalid("interval must be within two years from now.")
    if call.query.get("asin") and call.query.get("sku"):
        raise invalid("asin and sku do not go together.")
    at = start.astimezone(zone)
    bounds: list[tuple[datetime, datetime]] = [(start, end)]
    if granularity == "Day":
        bounds = []
        while at < end:
            nearest = datetime(at.year, at.month, at.day, tzinfo=zone) + timedelta(days=1)
            bounds.append((at, min(nearest, end.astimezone(zone))))
            at = nearest
    lows = [low.timestamp() for low, _ in bounds]
    inside: list[list[Json]] = [[] for _ in bounds]
    first_text, last_text = iso(start), iso(end)
    for order in call.world.orders.values():
        if first_text <= order["createdTime"] < last_text and counts(order, marketplace):
            place = bisect_right(lows, datetime.fromisoformat(order["createdTime"]).timestamp()) - 1
            inside[place].append(order)
    currency = MARKETPLACES[marketplace]
    return Answer(
        {"payload": [_interval(sold, low, high, currency) for sold, (low, high) in zip(inside, bounds, strict=True)]}
    )


def _zone(call: Call, granularity: str, start: datetime, end: datetime) -> ZoneInfo:
    name = call.query.get("granularityTimeZone")
    if name is None:
        if granularity != "Total":
            raise invalid("granularityTimeZone is required for a granularity above Hour.")
        name = "UTC"
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise invalid("granularityTimeZone is not a known zone.") from None
    if granularity == "Day" and any(at.utcoffset() != at.astimezone(zone).utcoffset() for at in (start, end)):
        raise invalid("granularityTimeZone does not align with the offset of the interval.")
    return zone


def counts(order: Json, marketplace: str) -> bool:
    """Whether order metrics know the order: sold there, paid for, not cancelled, no replacement."""
    if order["salesChannel"].get("marketplaceId") != marketplace or order["salesChannel"]["channelName"] != "AMAZON":
        return False
    if order["fulfillment"]["fulfillmentStatus"] in PENDING | {"CANCELLED"}:
        return False
    return all(each["associationType"] != "REPLACEMENT_ORIGINAL_ID" for each in order.get("associatedOrders", ()))


def _interval(orders: Sequence[Json], low: datetime, high: datetime, currency: str) -> Json:
    items = [item for order in orders for item in order["orderItems"]]
    units = sum(item["quantityOrdered"] for item in items)
    sales = sum(
        (
            Decimal(part["subtotal"]["amount"])
            for item in items
            for part in item.get("proceeds", {}).get("breakdowns", ())
            if part["type"] == "ITEM"
        ),
        Decimal("0.00"),
    )
    average = (sales / units).quantize(Decimal("0.01")) if units else Decimal("0.00")
    return {
        "interval": f"{low.isoformat(timespec='minutes')}--{high.isoformat(timespec='minutes')}",
        "unitCount": units,
        "orderItemCount": len(items),
        "orderCount": len(orders),
        "averageUnitPrice": money(average, currency),
        "totalSales": money(sales, currency),
    }


# -- inventory -----------------------------------------------------------------------------------------------------


def inventory_summaries(call: Call) -> Answer:
    call.only(
        "details", "granularityType", "granularityId", "startDateTime", "sellerSkus", "sellerSku", "nextToken",
        "marketplaceIds",
    )  # fmt: skip
    if call.query.get("granularityType") != "Marketplace" or not call.query.get("granularityId"):
        raise invalid("granularityType must be Marketplace, with its granularityId.")
    (marketplace,) = call.marketplaces(most=1)
    if call.query["granularityId"] != marketplace:
        raise invalid("granularityId must be the marketplace.")
    details = call.query.get("details", "false") == "true"
    found = sorted(call.world.summaries.values(), key=lambda item: str(item["sellerSku"])) if marketplace == US else []
    page, token = _page(call, found, 50, "nextToken", timedelta(seconds=30))
    shown = page if details else [{k: v for k, v in item.items() if k != "inventoryDetails"} for item in page]
    answer: Json = {
        "payload": {
            "granularity": {"granularityType": "Marketplace", "granularityId": marketplace},
            "inventorySummaries": shown,
        }
    }
    if token is not None:
        answer["pagination"] = {"nextToken": token}
    return Answer(answer, records=len(page))


# -- listings --------------------------------------------------------------------------------------------------------


def search_listings(call: Call) -> Answer:
    call.only(
        "marketplaceIds", "issueLocale", "includedData", "identifiers", "identifiersType", "variationParentSku",
        "packageHierarchySku", "createdAfter", "createdBefore", "lastUpdatedAfter", "lastUpdatedBefore",
        "withIssueSeverity", "withStatus", "withoutStatus", "sortBy", "sortOrder", "pageSize", "pageToken",
    )  # fmt: skip
    if call.path["seller_id"] != SELLER:
        raise unauthorised("The application is not authorised by this seller.")
    marketplaces = call.marketplaces()
    wanted = set(call.listed("includedData")) or {"summaries"}
    if wanted - LISTING_SETS:
        raise invalid("includedData has an unknown value.")
    size = call.number("pageSize", 10, 20)
    by = call.query.get("sortBy", "lastUpdatedDate")
    if by not in ("sku", "createdDate", "lastUpdatedDate"):
        raise invalid("sortBy is unknown.")
    if call.query.get("sortOrder", "DESC") not in ("ASC", "DESC"):
        raise invalid("sortOrder is unknown.")
    after = call.moment("createdAfter")
    found = [
        item
        for item in (call.world.listings.values() if US in marketplaces else ())
        if after is None or (item["summaries"] and item["summaries"][0]["createdDate"] >= iso(after))
    ]
    found.sort(key=_listing_key(by), reverse=call.query.get("sortOrder", "DESC") == "DESC")
    page, token = _page(call, found[:LISTINGS_REACH], size, "pageToken", timedelta(hours=1))
    answer: Json = {
        "numberOfResults": len(found),
        "items": [{k: v for k, v in item.items() if k == "sku" or k in wanted} for item in page],
    }
    if token is not None:
        answer["pagination"] = {"nextToken": token}
    return Answer(answer, records=len(page))


def _listing_key(by: str) -> Callable[[Json], tuple[str, str]]:
    def key(item: Json) -> tuple[str, str]:
        first = item["summaries"][0] if item["summaries"] else {}
        return (item["sku"] if by == "sku" else str(first.get(by, "")), item["sku"])

    return key


# -- reports ---------------------------------------------------------------------------------------------------------


def get_reports(call: Call) -> Answer:
    call.only(
        "reportTypes", "processingStatuses", "marketplaceIds", "pageSize", "createdSince", "createdUntil", "nextToken"
    )
    kinds = call.listed("reportTypes")
    if not kinds and "nextToken" not in call.query:
        raise invalid("reportTypes or nextToken is required.")
    call.number("pageSize", 10, 100)
    since = call.moment("createdSince") or call.now - timedelta(days=90)
    marketplaces, statuses = set(call.marketplaces(required=False)), set(call.listed("processingStatuses"))
    found = [
        report
        for report in call.reports.made.values()
        if REPORT_KIND in kinds
        and report.created >= since
        and (not marketplaces or marketplaces & set(report.marketplaces))
        and (not statuses or report.status in statuses)
    ]
    found.sort(key=lambda report: report.id, reverse=True)
    return Answer({"reports": [_report_json(report, call) for report in found]}, records=len(found))


def create_report(call: Call) -> Answer:
    body = call.body
    if not isinstance(body, dict) or not isinstance(body.get("marketplaceIds"), list) or not body["marketplaceIds"]:
        raise invalid("The body needs reportType and marketplaceIds.")
    if body.get("reportType") != REPORT_KIND:
        raise invalid("The report type is not allowed for this seller.")
    if set(body) - {"reportType", "marketplaceIds", "dataStartTime", "dataEndTime", "reportOptions"}:
        raise invalid("The body has an unknown field.")
    report = call.reports.add([str(each) for each in body["marketplaceIds"]], call.now)
    return Answer({"reportId": report.id}, status=202)


def get_report(call: Call) -> Answer:
    call.only()
    report = call.reports.made.get(call.path["report_id"])
    if report is None:
        raise not_found("There is no such report.")
    shown = _report_json(report, call)
    report.polls += 1
    return Answer(shown)


def _report_json(report: Report, call: Call) -> Json:
    shown: Json = {
        "reportId": report.id,
        "reportType": REPORT_KIND,
        "createdTime": iso(report.created),
        "processingStatus": report.status,
        "marketplaceIds": report.marketplaces,
    }
    if report.status == "DONE":
        if report.document is None:
            report.document = f"amzn1.spdoc.1.4.na.{report.id}"
            call.reports.documents[report.document] = orjson.dumps(health_document(call.world))
        shown["reportDocumentId"] = report.document
        shown["processingEndTime"] = iso(report.created)
    return shown


def health_document(world: World) -> Json:
    metrics = {key: value for key, value in world.health.items() if key != "accountStatus"}
    status = {"marketplaceId": world.health["marketplaceId"], "status": world.health["accountStatus"]}
    return {"accountStatuses": [status], "performanceMetrics": [metrics]}


def get_report_document(call: Call) -> Answer:
    call.only("enableContentEncodingUrlHeader")
    identity = call.path["document_id"]
    if identity not in call.reports.documents:
        raise not_found("There is no such document.")
    answer: Json = {"reportDocumentId": identity, "url": document_url(call.base_url, identity, call.now)}
    if call.reports.compressed:
        answer["compressionAlgorithm"] = "GZIP"
    return Answer(answer)


def document_url(base_url: str, identity: str, now: datetime) -> str:
    ends = int((now + URL_LIVES).timestamp())
    return f"{base_url}/amazon-documents/{identity}?Expires={ends}&Signature={_signature(identity, ends)}"


def _signature(identity: str, ends: int) -> str:
    return hashlib.sha256(f"{identity}|{ends}|sandbox".encode()).hexdigest()[:32]


def document(reports: Reports, identity: str, query: Mapping[str, str], now: datetime) -> bytes:
    """The bytes behind a pre-signed URL. Raises `Refused` as the storage does when it has ended or was changed."""
    ends = query.get("Expires", "")
    signed = ends.isdigit() and query.get("Signature") == _signature(identity, int(ends))
    if not signed or identity not in reports.documents or now.astimezone(UTC).timestamp() >= int(ends):
        raise Refused(403, "AccessDenied", "Request has expired")
    content = reports.documents[identity]
    return gzip.compress(content, mtime=0) if reports.compressed else content


# -- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operation:
    """`role` is the one an authorisation needs."""

    name: str
    method: str
    path: str
    role: str
    run: Callable[[Call], Answer]
    pages: bool = False


OPERATIONS = (
    Operation("searchOrders", "GET", "/orders/2026-01-01/orders", "orders", search_orders, pages=True),
    Operation("getOrder", "GET", "/orders/2026-01-01/orders/{order_id}", "orders", get_order),
    Operation("getOrderMetrics", "GET", "/sales/v1/orderMetrics", "metrics", order_metrics),
    Operation(
        "getInventorySummaries", "GET", "/fba/inventory/v1/summaries", "inventory", inventory_summaries, pages=True
    ),
    Operation("searchListingsItems", "GET", "/listings/2021-08-01/items/{seller_id}", "listings", search_listings,
              pages=True),
    Operation("getReports", "GET", "/reports/2021-06-30/reports", "reports", get_reports),
    Operation("createReport", "POST", "/reports/2021-06-30/reports", "reports", create_report),
    Operation("getReport", "GET", "/reports/2021-06-30/reports/{report_id}", "reports", get_report),
    Operation(
        "getReportDocument", "GET", "/reports/2021-06-30/documents/{document_id}", "reports", get_report_document
    ),
)  # fmt: skip

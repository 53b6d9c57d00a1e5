"""Amazon as a `VendorSource`: which entities are read, how, and what ties them out.

Belongs here: the strategy of each stream, its control totals and its probe. Does not belong here: the protocol
(`client.py`), windows of orders (`orders.py`), the report (`reports.py`), the shape of records (`records.py`).

What ties out: orders against Amazon's own order metrics, units and ordered product sales for each day of the
marketplace; inventory and listings by count, against a second listing and against the vendor's own number of
results. The report on account health is one document and is checked as such.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.clock import day_bounds
from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject
from resources.amazon import orders, reports
from resources.amazon.client import AmazonClient, Doubts, Forbidden, InvalidInput, Throttled
from resources.amazon.records import (
    STREAMS,
    VENDOR,
    check_listing,
    check_order,
    check_summary,
    checked,
    exact,
    health_records,
    kept_of_order,
)
from resources.record_checks import utc_text

if TYPE_CHECKING:
    from resources.amazon.marketplaces import Marketplace

log = logging.getLogger(__name__)

METRICS_PATH = "/sales/v1/orderMetrics"
INVENTORY_PATH = "/fba/inventory/v1/summaries"
LISTINGS_PATH = "/listings/2021-08-01/items"
LISTINGS_PAGE = 20
# However many there are, a search can be paged through its first thousand only.
LISTINGS_REACH = 1_000
# Order metrics reach two years back; a day less, so that no request begins beyond them.
METRICS_REACH = timedelta(days=729)
RESTARTS = 2
ORDERS_BUDGET_SECONDS = 900.0

_ROLES = {
    "searchOrders": "Inventory and Order Tracking",
    "getOrderMetrics": "Inventory and Order Tracking",
    "getInventorySummaries": "Amazon Fulfillment",
    "searchListingsItems": "Product Listing",
    "getReports": "Selling Partner Insights",
}


class AmazonSource:
    """One seller in one marketplace. `seller_id` is needed for the listings alone. `orders_budget_seconds` is how
    long one read of orders may take, refills of the rate limit included."""

    vendor = VENDOR

    def __init__(
        self,
        client: AmazonClient,
        marketplace: Marketplace,
        seller_id: str | None,
        *,
        orders_budget_seconds: float = ORDERS_BUDGET_SECONDS,
        orders_page_size: int = orders.PAGE_SIZE,
    ) -> None:
        self.client = client
        self.marketplace = marketplace
        self.zone = ZoneInfo(marketplace.zone)
        self.seller_id = seller_id
        self.orders_budget_seconds = orders_budget_seconds
        self.orders_page_size = orders_page_size
        self.streams: dict[str, Stream] = dict(STREAMS)
        self._spent_before = 0
        self._stopped_at: datetime | None = None
        self._now: datetime | None = None

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield orders changed since `cursor` as far as the time budget reaches, the whole inventory, all listings,
        or the newest performance report. The cost of a page is in requests."""
        self._spent_before = self.client.requests
        self._now = now
        if stream.name == "orders":
            yield from self._orders(cursor, now)
        elif stream.name == "inventory_summaries":
            yield from self._inventory()
        elif stream.name == "listings":
            yield from self._listings()
        else:
            yield from self._health(cursor, now)

    def reached(self, stream: Stream) -> datetime | None:
        """Up to when the last read of `stream` is whole, where it ended at its time budget; None where it ended."""
        return self._stopped_at if stream.name == "orders" else None

    def recheck(self, stream: Stream, payloads: Sequence[Any], *, now: datetime) -> Page:
        """Today's checks on records that were set aside."""
        if stream.name == "orders":
            kept = [kept_of_order(each) if isinstance(each, dict) else each for each in payloads]
            return Page(*checked(kept, check_order, "orderId"))
        if stream.name == "inventory_summaries":
            return Page(*checked([exact(each) for each in payloads], check_summary, "sellerSku"))
        if stream.name == "listings":
            return Page(*checked([exact(each) for each in payloads], check_listing, "sku"))
        raise PermanentFailure("amazon: metrics of a report are not landed one by one; sync account_health instead")

    def _orders(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        self._stopped_at = None
        reader = self._order_reader()
        yield from reader.pages(cursor, now)
        self._stopped_at = reader.stopped_at

    def _order_reader(self, **more: Any) -> orders.OrderReader:
        return orders.OrderReader(
            self.client,
            self.marketplace.id,
            page_size=self.orders_page_size,
            budget_seconds=self.orders_budget_seconds,
            daily=self._orders_by_day,
            **more,
        )

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        """Every order placed on these days of the marketplace; days that follow each other in one search, because
        searches are few."""
        self._spent_before = self.client.requests
        reader = self._order_reader(by="created")
        spans: list[tuple[datetime, datetime]] = []
        for day in sorted(set(days)):
            start, end = day_bounds(day, self.marketplace.zone)
            if spans and spans[-1][1] == start:
                start = spans.pop()[0]
            spans.append((start, end))
        yield from reader.spans(spans, now)

    def _orders_by_day(self, since: datetime, until: datetime) -> Mapping[date, int] | None:
        """How many orders each day brought, for cutting a long read into windows; None where that is not told."""
        first, last = since.astimezone(self.zone).date(), until.astimezone(self.zone).date()
        try:
            metrics = self._metrics(max(first, last - METRICS_REACH), last + timedelta(days=1))
        except (Forbidden, InvalidInput, Throttled) as refusal:
            log.warning("amazon: orders are read in windows of %s: %s", orders.BLIND_WINDOW, refusal)
            return None
        return {day: _whole(said.get("orderCount")) for day, said in metrics.items()}

    def _inventory(self) -> Iterator[Page]:
        for items in self._summaries(details=True):
            good, bad = checked([exact(item) for item in items], check_summary, "sellerSku")
            yield Page(good, bad, None, self._cost())

    def _summaries(self, *, details: bool) -> Iterator[list[Any]]:
        """All summaries, page by page. A page token lives thirty seconds: when one has ended while we waited, the
        listing begins again, and what comes twice is the same."""
        for last in (*(False,) * RESTARTS, True):
            token, seen = "", set[str]()
            previous: list[Any] = []
            try:
                while True:
                    data = self._summary_page(details, token, seen, previous)
                    previous = data["payload"]["inventorySummaries"]
                    yield previous
                    token = _next_token(data)
                    if not token:
                        return
                    seen.add(token)
            except InvalidInput:
                if last or not token:
                    raise
                log.info("amazon: the page token of the inventory had ended; from the start")

    def _summary_page(self, details: bool, token: str, seen: set[str], previous: Sequence[Any] = ()) -> JsonObject:
        params: dict[str, str | int] = {
            "details": "true" if details else "false",
            "granularityType": "Marketplace",
            "granularityId": self.marketplace.id,
            "marketplaceIds": self.marketplace.id,
        }
        if token:
            params["nextToken"] = token

        doubts = Doubts()

        def accept(data: Any) -> None:
            payload = data.get("payload")
            if not isinstance(payload, dict) or not isinstance(payload.get("inventorySummaries"), list):
                raise TransientFailure("amazon: getInventorySummaries answered without inventorySummaries")
            following = _next_token(data)
            if following and (following in seen or following == token):
                raise TransientFailure("amazon: getInventorySummaries leads back to a page already read")
            if len(previous) > 1 and payload["inventorySummaries"] == previous:
                # With a new token each time it would never end.
                raise TransientFailure("amazon: getInventorySummaries shows a page again instead of the next")
            if not payload["inventorySummaries"]:
                doubts.once(token, "getInventorySummaries answered with an empty page")

        data: JsonObject = self.client.get("getInventorySummaries", INVENTORY_PATH, params, accept)
        return data

    # -- listings -------------------------------------------------------------------------------------------

    def _listings(self) -> Iterator[Page]:
        """All listings by the date they were created. Ends only when as many have come as Amazon says there are;
        a read that comes short, or whose page token is refused half-way, is begun again once."""
        seen: set[str] = set()
        for last in (False, True):
            try:
                expected = yield from self._all_listings(seen)
            except InvalidInput:
                if last or not seen:
                    raise
                log.info("amazon: a page token of the listings was refused; from the start")
                continue
            if len(seen) >= expected:
                return
            # Some may have been deleted meanwhile: then Amazon counts fewer now.
            expected = min(expected, self._count_listings())
            if len(seen) >= expected:
                return
            log.warning("amazon: %d of %d listings came; %s", len(seen), expected, "no more" if last else "once more")
        raise TransientFailure(f"amazon: only {len(seen)} of {expected} listings came")

    def _all_listings(self, seen: set[str]) -> Generator[Page, None, int]:
        """One read of all listings, adding to `seen`; how many Amazon said there are. Beyond the first thousand the
        search begins again at the last date of creation."""
        since: datetime | None = None
        expected: int | None = None
        while True:
            latest, came, told = since, 0, 0
            for items, told in self._search(since):
                expected = told if expected is None else expected
                came += len(items)
                good, bad = checked([exact(item) for item in items], check_listing, "sku")
                fresh = [record for record in good if record.id not in seen]
                seen |= {record.id for record in fresh}
                seen |= {refused.id or refused.raw for refused in bad}
                latest = max([at for item in items if (at := _created(item))] + ([latest] if latest else []),
                             default=None)  # fmt: skip
                yield Page(fresh, bad, None, self._cost())
            if came >= told or came < LISTINGS_REACH - LISTINGS_PAGE:
                return expected or 0
            if latest is None or latest == since:
                raise PermanentFailure(
                    f"amazon: more than {LISTINGS_REACH} listings were created at the same moment; they cannot be told"
                )
            since = latest

    def _search(self, since: datetime | None) -> Iterator[tuple[list[Any], int]]:
        """Pages of one search with the number of results that Amazon tells, to its end or its reach."""
        params: dict[str, str | int] = {
            "marketplaceIds": self.marketplace.id,
            "includedData": "issues,summaries",
            "sortBy": "createdDate",
            "sortOrder": "ASC",
            "pageSize": LISTINGS_PAGE,
        }
        if since is not None:
            params["createdAfter"] = utc_text(since)
        token, seen, doubts, came = "", set[str](), Doubts(), 0
        while True:

            def accept(data: Any, token: str = token) -> None:
                if not isinstance(data.get("items"), list) or not isinstance(data.get("numberOfResults"), int):
                    raise TransientFailure("amazon: searchListingsItems answered without items")
                following = _next_token(data)
                if following and (following in seen or following == token):
                    raise TransientFailure("amazon: searchListingsItems leads back to a page already read")
                if not data["items"] and (token or following or data["numberOfResults"] > 0):
                    doubts.once(token, "searchListingsItems announced a page and it is empty")
                if following and len(data["items"]) < LISTINGS_PAGE:
                    doubts.once(token, "searchListingsItems answered with half a page")

            data = self.client.get(
                "searchListingsItems",
                f"{LISTINGS_PATH}/{self._seller()}",
                {**params, "pageToken": token} if token else params,
                accept,
            )
            came += len(data["items"])
            yield data["items"], data["numberOfResults"]
            token = _next_token(data)
            if not token or came >= LISTINGS_REACH:
                return
            seen.add(token)

    def _count_listings(self) -> int:
        data = self.client.get(
            "searchListingsItems",
            f"{LISTINGS_PATH}/{self._seller()}",
            {"marketplaceIds": self.marketplace.id, "includedData": "summaries", "pageSize": 1},
            _counted,
        )
        return int(data["numberOfResults"])

    def _seller(self) -> str:
        if not self.seller_id:
            raise ConfigurationError("amazon: AMAZON_SELLER_ID is not set; listings cannot be read without it")
        return self.seller_id

    # -- account health -------------------------------------------------------------------------------------

    def _health(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        report = reports.newest_report(self.client, self.marketplace.id, now)
        if cursor is not None and utc_text(report.created) <= cursor:
            # Landed by an earlier sync; a report never changes.
            yield Page([], api_cost=self._cost())
            return
        good, bad = health_records(report.id, report.created, reports.fetch(self.client, report))
        if not good and not bad:
            raise TransientFailure("amazon: the seller performance report is empty")
        yield Page(good, bad, utc_text(min(report.created, now)), self._cost())

    def _cost(self) -> Decimal:
        spent, self._spent_before = self.client.requests - self._spent_before, self.client.requests
        return Decimal(spent)

    # -- tie-out --------------------------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """Orders: units and ordered product sales of each day in the marketplace's zone, by Amazon's own metrics.
        Inventory: how many SKUs a second listing has. Listings: how many Amazon counts."""
        if stream.name == "inventory_summaries":
            skus = {
                str(item.get("sellerSku"))
                for items in self._summaries(details=False)
                for item in items
                if isinstance(item, dict) and item.get("sellerSku")
            }
            return [ControlTotal(stream.name, None, len(skus))]
        if stream.name == "listings":
            return [ControlTotal(stream.name, None, self._count_listings())]
        if stream.name != "orders":
            return []
        if self._stopped_at is not None:
            raise TransientFailure(
                f"amazon: orders are read up to {utc_text(self._stopped_at)}; they tie out when the rest has come"
            )
        first, end = self._metric_days()
        wanted = None if days is None else {day for day in days if first <= day < end}
        if wanted is not None:
            if not wanted:
                return []
            first, end = min(wanted), max(wanted) + timedelta(days=1)
        totals = []
        for day, said in sorted(self._metrics(first, end).items()):
            if wanted is not None and day not in wanted:
                continue
            amount, currency = _money(said.get("totalSales"))
            totals.append(ControlTotal(stream.name, day, _whole(said.get("unitCount")), amount, currency))
        return totals

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        """The landed side. Order metrics leave out orders that are pending or cancelled, replacements, which nobody
        pays for, and what was sold outside Amazon; sales are what the items cost, without tax, shipping and
        promotions. A pending order has no price yet: it counts on its day once it has one."""
        if stream.name in ("inventory_summaries", "listings"):
            return LandedQuery(
                stream.name,
                f"select null::date, count(*), null::numeric from raw_amazon.{stream.name} where deleted_at is null",
            )
        if stream.name != "orders":
            return None
        first, end = self._metric_days()
        day = f"((payload ->> 'createdTime')::timestamptz at time zone '{self.marketplace.zone}')::date"
        return LandedQuery(
            stream.name,
            f"""
            select counted.day, sum(counted.units), sum(counted.sales)
            from (
                select
                    {day} as day,
                    coalesce((
                        select sum((item ->> 'quantityOrdered')::bigint)
                        from jsonb_array_elements(payload -> 'orderItems') as item
                    ), 0) as units,
                    coalesce((
                        select sum((part -> 'subtotal' ->> 'amount')::numeric)
                        from jsonb_array_elements(payload -> 'orderItems') as item
                        cross join jsonb_array_elements(item -> 'proceeds' -> 'breakdowns') as part
                        where part ->> 'type' = 'ITEM'
                    ), 0) as sales
                from raw_amazon.orders
                where deleted_at is null
                    and payload -> 'salesChannel' ->> 'channelName' = 'AMAZON'
                    and coalesce(payload -> 'salesChannel' ->> 'marketplaceId', '{self.marketplace.id}')
                        = '{self.marketplace.id}'
                    and coalesce(payload -> 'fulfillment' ->> 'fulfillmentStatus', '')
                        not in ('PENDING', 'PENDING_AVAILABILITY', 'CANCELLED')
                    and not coalesce(payload -> 'associatedOrders', '[]'::jsonb)
                        @> '[{{"associationType": "REPLACEMENT_ORIGINAL_ID"}}]'::jsonb
            ) as counted
            where counted.day >= date '{first}' and counted.day < date '{end}'
                and (%(days)s::date[] is null or counted.day = any(%(days)s::date[]))
            group by counted.day
            """,
            day,
            zone=self.marketplace.zone,
        )

    def _metric_days(self) -> tuple[date, date]:
        """The days that can be compared: over in the marketplace, and within the reach of order metrics."""
        now = self._now
        if now is None:
            raise PermanentFailure("amazon: totals are compared after a read")
        today = now.astimezone(self.zone).date()
        return today - METRICS_REACH, today

    def _metrics(self, first: date, end: date) -> dict[date, JsonObject]:
        """Order metrics by day of the marketplace, from `first` until before `end`."""
        interval = "--".join(day_bounds(day, self.marketplace.zone)[0].astimezone(self.zone).isoformat()
                             for day in (first, end))  # fmt: skip
        data = self.client.get(
            "getOrderMetrics",
            METRICS_PATH,
            {
                "marketplaceIds": self.marketplace.id,
                "interval": interval,
                "granularity": "Day",
                "granularityTimeZone": self.marketplace.zone,
            },
            _listed,
        )
        found: dict[date, JsonObject] = {}
        for item in data["payload"]:
            try:
                # "2024-12-01T00:00-08:00--2024-12-02T00:00-08:00": the first ten characters are the local day.
                found[date.fromisoformat(str(item["interval"])[:10])] = item
            except (KeyError, TypeError, ValueError):
                raise TransientFailure("amazon: getOrderMetrics answered with an interval that is none") from None
        return {day: said for day, said in found.items() if first <= day < end}

    # -- the rest of the contract ---------------------------------------------------------------------------

    def probe(self) -> Iterator[Probe]:
        """Credentials, then every endpoint once, asked for the smallest thing that tells."""
        try:
            self.client.access_token()
        except OpsError as error:
            remedy = "authorise the application in Seller Central and set the AMAZON_ variables"
            yield Probe("credentials", False, str(error), remedy, tuple(self.streams))
            return
        yield Probe("credentials", True, f"a token for {self.marketplace.country} ({self.marketplace.id})")
        today = self._probed_at().astimezone(self.zone).date()
        known: list[int] = []
        # Without its metrics orders are read all the same; they only do not tie out.
        yield self._probed("order metrics", "getOrderMetrics", (), lambda: self._said_metrics(today, known))
        yield self._probed("orders", "searchOrders", ("orders",), lambda: self._said_orders(sum(known)))
        yield self._probed("inventory", "getInventorySummaries", ("inventory_summaries",), self._said_inventory)
        yield self._probed("listings", "searchListingsItems", ("listings",), self._said_listings)
        yield self._probed("reports", "getReports", ("account_health",), self._said_reports)

    def _probed(self, endpoint: str, operation: str, streams: tuple[str, ...], ask: Any) -> Probe:
        try:
            return Probe(endpoint, True, ask())
        except Forbidden as error:
            remedy = (
                f'add the role "{_ROLES[operation]}" to the application in Seller Central, authorise it again and set '
                "the new AMAZON_REFRESH_TOKEN"
            )
            return Probe(endpoint, False, str(error), remedy, streams)
        except ConfigurationError as error:
            return Probe(endpoint, False, str(error), "set AMAZON_SELLER_ID (Settings > Account info)", streams)
        except TransientFailure as error:
            return Probe(endpoint, False, str(error), "try again later; the endpoint did not answer in time", streams)
        except OpsError as error:
            return Probe(endpoint, False, str(error), "check AMAZON_MARKETPLACE_ID and AMAZON_SELLER_ID", streams)

    def _probed_at(self) -> datetime:
        from ops_platform import clock

        return self._now or clock.now()

    def _said_metrics(self, today: date, known: list[int]) -> str:
        metrics = self._metrics(today - timedelta(days=7), today)
        known += [_whole(said.get("orderCount")) for said in metrics.values()]
        return f"{sum(known)} orders in the last 7 days"

    def _said_orders(self, expected: int) -> str:
        # Without an end: a clock that runs ahead of Amazon's must not look like a missing role.
        now = self._probed_at()
        data = self.client.get(
            "searchOrders",
            orders.PATH,
            {
                "marketplaceIds": self.marketplace.id,
                "createdAfter": utc_text(now - timedelta(days=30)),
                "includedData": orders.INCLUDED,
                "maxResultsPerPage": 1,
            },
        )
        found = data.get("orders")
        if not found and expected:
            raise PermanentFailure(
                f"amazon: order metrics know {expected} orders of the last 7 days and searchOrders brings none"
            )
        return "answers with an order" if found else "answers; no order in the last 30 days"

    def _said_inventory(self) -> str:
        found = self._summary_page(False, "", set())["payload"]["inventorySummaries"]
        return f"{len(found)} SKUs on the first page"

    def _said_listings(self) -> str:
        return f"{self._count_listings()} listings"

    def _said_reports(self) -> str:
        self.client.get(
            "getReports",
            f"{reports.PATH}/reports",
            {"reportTypes": reports.KIND, "marketplaceIds": self.marketplace.id, "pageSize": 1},
        )
        return "answers"

    def close(self) -> None:
        self.client.close()


# -- small parts --------------------------------------------------------------------------------------------


def _next_token(data: JsonObject) -> str:
    pagination = data.get("pagination")
    token = pagination.get("nextToken") if isinstance(pagination, dict) else None
    return token if isinstance(token, str) else ""


def _listed(data: Any) -> None:
    if not isinstance(data.get("payload"), list) or not all(isinstance(item, dict) for item in data["payload"]):
        raise TransientFailure("amazon: getOrderMetrics answered without a payload")


def _counted(data: Any) -> None:
    if not isinstance(data.get("numberOfResults"), int):
        raise TransientFailure("amazon: searchListingsItems answered without a number of results")


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TransientFailure(f"amazon: getOrderMetrics counts {value!r}")


def _money(value: Any) -> tuple[Decimal | None, str | None]:
    """The amount, or None where Amazon tells none, and its currency."""
    if not isinstance(value, dict):
        return None, None
    try:
        amount = Decimal(value["amount"])
    except (KeyError, InvalidOperation, TypeError, ValueError):
        return None, None
    currency = value.get("currencyCode")
    return (amount if amount.is_finite() else None), currency if isinstance(currency, str) else None


def _created(item: Any) -> datetime | None:
    """When a listing was created, as its summaries tell."""
    found = []
    for summary in (item.get("summaries") if isinstance(item, dict) else None) or ():
        try:
            found.append(datetime.fromisoformat(str(summary["createdDate"])))
        except (KeyError, TypeError, ValueError):
            continue
    return max((at for at in found if at.tzinfo is not None), default=None)

"""Shopify as a `VendorSource`: which entities are read, how, and what ties them out.

Belongs here: the strategy. A first load, and any later read that turns out to be long, is one bulk
operation; a short read walks pages; what a bulk operation cannot reach is fetched and put in place, so
that both ways give the same payload for the same order. Does not belong here: GraphQL over HTTP
(`client.py`), files of bulk operations (`bulk.py`), the shape of records (`records.py`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from ops_platform.clock import day_bounds
from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject, Record, Rejected
from ops_platform.zones import zone_of
from resources.record_checks import LARGEST_PAYLOAD, Flaw, rejected, small_enough, utc_text
from resources.shopify.bulk import BulkRunner, BulkUnavailable, Shape, assemble
from resources.shopify.client import LARGEST_PAGE_OF_RECORDS, ShopifyClient, Walk
from resources.shopify.records import ENTITIES, VENDOR, Entity, Unfinished, flatten_refund, gid

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

log = logging.getLogger(__name__)

ROOTS_PER_PAGE = 100
# A walk that has read this much, or would now wait this long for points, goes on as a bulk operation.
LONGEST_WALK_BEFORE_BULK = 1_000
LONGEST_WAIT_BEFORE_BULK = 2.0
DAYS_PER_COUNT_QUERY = 50
DAYS_PER_SALES_QUERY = 366
# What each stream needs of the app. Without read_all_orders, orders older than sixty days are not shown.
SCOPES = {
    "orders": "read_orders",
    "customers": "read_customers",
    "products": "read_products",
    "inventory_items": "read_inventory",
    "locations": "read_locations",
    "fulfillment_orders": "read_merchant_managed_fulfillment_orders",
    "discounts": "read_discounts",
}
REFUND_VARIABLES = {"refundLines": 5, "adjustments": 2}


@dataclass(frozen=True, slots=True)
class Shop:
    """What every day and sum of the shop needs."""

    name: str
    currency: str
    zone: str


class ShopifySource:
    """A shop behind `client`. `bulk_first` False walks pages even for a first load."""

    vendor = VENDOR

    def __init__(self, client: ShopifyClient, *, bulk: BulkRunner | None = None, bulk_first: bool = True) -> None:
        self.client = client
        self.bulk = bulk or BulkRunner(client)
        self.bulk_first = bulk_first
        self.streams: dict[str, Stream] = {name: entity.stream for name, entity in ENTITIES.items()}
        self._shop: Shop | None = None
        self._spent_before = Decimal(0)

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield what changed since `cursor` less the look-back; everything when it is None.

        `cost` of a page is in query points. Raises `PermanentFailure` or `TransientFailure`."""
        entity = ENTITIES[stream.name]
        self._spent_before = self.client.spent
        self.shop()
        if stream.name == "shop":
            yield self._page([self.client.run("Shop")["shop"]], entity, now)
            return
        search = None if stream.full_refresh else self._search(entity, cursor, now)
        if self.bulk_first and entity.bulk is not None and search is None:
            try:
                yield from self._bulk_pages(entity, None, now)
                return
            except BulkUnavailable as reason:
                log.warning("shopify: %s is read page by page: %s", stream.name, reason)
                yield from self._walk_pages(entity, None, now, may_switch=False)
                return
        yield from self._walk_pages(entity, search, now, may_switch=self.bulk_first)

    def _search(self, entity: Entity, cursor: str | None, now: datetime) -> str | None:
        if cursor is None:
            return None
        # A cursor ahead of the clock (which was set back, or was the vendor's mistake) must not hide what comes.
        since = min(datetime.fromisoformat(cursor), now)
        return search_since(entity, since - entity.stream.look_back)

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        """Every order processed on these days of the shop."""
        entity = ENTITIES[stream.name]
        self._spent_before = self.client.spent
        for day in sorted(set(days)):
            begin, end = (utc_text(at) for at in day_bounds(day, self.shop().zone))
            within = f"processed_at:>='{begin}' AND processed_at:<'{end}'"
            for page in self._walk_pages(entity, within, now, may_switch=False, within=within):
                yield Page(page.records, page.rejected, None, page.api_cost)

    def _walk_pages(
        self, entity: Entity, search: str | None, now: datetime, *, may_switch: bool, within: str | None = None
    ) -> Iterator[Page]:
        """Walk, and hold what was found against the vendor's own count: a page that came short says nothing."""
        expected = self._expected(entity, search)
        for _ in range(2):
            state = Walk()
            whole = yield from self._walk_once(entity, search, now, may_switch, state, within)
            if whole or expected is None or state.nodes_read >= expected:
                return
            # Records can have been deleted meanwhile; then the count has fallen too.
            again = self._expected(entity, search)
            expected = expected if again is None else min(expected, again)
            if state.nodes_read >= expected:
                return
            log.warning("shopify: %s: %d of %d came; once more", entity.stream.name, state.nodes_read, expected)
        raise TransientFailure(
            f"shopify: {entity.stream.name}: the listing ends before the {expected} records that the shop counts"
        )

    def _expected(self, entity: Entity, search: str | None) -> int | None:
        """How many records a walk should find at least, or None where the vendor does not count them exactly."""
        if entity.count is None:
            return None
        answer = self.client.run(entity.count, {"query": search})["total"]
        exact = isinstance(answer, dict) and answer.get("precision") == "EXACT" and isinstance(answer.get("count"), int)
        return int(answer["count"]) if exact else None

    def _walk_once(
        self,
        entity: Entity,
        search: str | None,
        now: datetime,
        may_switch: bool,
        state: Walk,
        within: str | None = None,
    ) -> Generator[Page, None, bool]:
        """One walk, whose progress is in `state`. True when a bulk operation, which counts itself, took over."""
        latest: datetime | None = None
        walk = self.client.walk(
            entity.page,
            entity.root,
            {**entity.variables, "query": search},
            largest_page=LARGEST_PAGE_OF_RECORDS,
            resume=_resume(entity, within),
            state=state,
        )
        for nodes in walk:
            page = self._page(nodes, entity, now)
            latest = max((record.updated_at for record in page.records if record.updated_at), default=latest)
            yield page
            del page, nodes
            long = state.nodes_read >= LONGEST_WALK_BEFORE_BULK or state.next_wait > LONGEST_WAIT_BEFORE_BULK
            if may_switch and long and not state.done and entity.bulk is not None and latest is not None:
                # Pages come in the order of `updatedAt`, so what is still to come begins at the latest seen.
                rest = search_since(entity, latest) if entity.cursor_order == "updated_at" else None
                try:
                    yield from self._bulk_pages(entity, rest, now)
                    return True
                except BulkUnavailable as reason:
                    log.info("shopify: %s is walked to its end: %s", entity.stream.name, reason)
                    may_switch = False
        return False

    def _bulk_pages(self, entity: Entity, search: str | None, now: datetime) -> Iterator[Page]:
        assert entity.bulk is not None
        finished = self.bulk.run(entity.bulk, search)
        # Objects are read over minutes and one that changes meanwhile may have been read before the change:
        # nothing later than the begin may become the cursor.
        ceiling = min(finished.began or now, now)
        if finished.file is None:
            yield Page([], api_cost=self._cost())
            return
        latest: str | None = None
        with finished.file as file:
            for held in self._bulk_batches(assemble(file, entity.shape)):
                page = self._checked([root for root, _ in held], entity, ceiling, [size for _, size in held])
                latest = max(filter(None, (latest, page.cursor)), default=None)
                # The file is in no order: only its end may move the cursor.
                yield Page(page.records, page.rejected, None, page.api_cost)
        yield Page([], cursor=latest, api_cost=self._cost())

    def _bulk_batches(self, roots: Iterable[tuple[JsonObject, int]]) -> Iterator[list[tuple[JsonObject, int]]]:
        """Small batches, so that records are still in the processor's cache when they are stored. Orders with
        refunds wait for each other: what hangs below a refund is fetched for many at once."""
        held: list[tuple[JsonObject, int]] = []
        refunded: list[tuple[JsonObject, int]] = []
        for item in roots:
            if item[0].get("refunds"):
                refunded.append(item)
                if len(refunded) >= ROOTS_PER_PAGE:
                    self._fetch_refund_parts(root for root, _ in refunded)
                    yield refunded
                    refunded = []
                continue
            held.append(item)
            if len(held) >= ROOTS_PER_PAGE:
                yield held
                held = []
        if held:
            yield held
        if refunded:
            self._fetch_refund_parts(root for root, _ in refunded)
            yield refunded

    def _fetch_refund_parts(self, orders: Iterable[JsonObject]) -> None:
        """Put refund lines and adjustments where an incremental read has them."""
        refunds: dict[str, JsonObject] = {}
        for order in orders:
            for refund in order.get("refunds") or ():
                if isinstance(refund, dict) and isinstance(refund.get("id"), str):
                    refunds[refund["id"]] = refund
        if not refunds:
            return
        pending: list[Unfinished] = []
        for _, nodes in self.client.batches("RefundParts", list(refunds), REFUND_VARIABLES):
            for node in nodes:
                # A refund that vanished since, or came broken, leaves its order without these lists: the check will
                # say so of that order alone.
                if isinstance(node, dict) and node.get("id") in refunds:
                    mine: list[Unfinished] = []
                    try:
                        flatten_refund(node, mine)
                    except (Flaw, AttributeError, TypeError):
                        continue
                    pending += mine
                    refund = refunds[node["id"]]
                    refund["refundLineItems"] = node["refundLineItems"]
                    refund["orderAdjustments"] = node["orderAdjustments"]
        self._complete(pending)

    def _page(self, nodes: Sequence[Any], entity: Entity, ceiling: datetime) -> Page:
        """One answered page: lists followed to their end, every object checked."""
        answered = self.client.answered
        pending: list[Unfinished] = []
        good: list[JsonObject] = []
        bad: list[Rejected] = []
        for node in nodes:
            if not isinstance(node, dict):
                bad.append(rejected(node, Flaw("invalid_shape", "not an object")))
                continue
            # What was noted before a flaw was found belongs to a record that will not land.
            mine: list[Unfinished] = []
            try:
                entity.flatten(node, mine)
            except Flaw as flaw:
                bad.append(rejected(node, flaw, _known_id(node)))
            except (AttributeError, TypeError) as error:
                bad.append(rejected(node, Flaw("invalid_shape", f"unexpected shape: {error}"), _known_id(node)))
            else:
                good.append(node)
                pending += mine
        self._complete(pending)
        # No object is larger than the answer it came in, unless it grew since.
        page = self._checked(good, entity, ceiling, None if pending else [answered] * len(good))
        return Page(page.records, [*bad, *page.rejected], page.cursor, page.api_cost) if bad else page

    def _complete(self, pending: Iterable[Unfinished]) -> None:
        for unfinished in pending:
            unfinished.items.extend(
                self.client.rest(unfinished.operation, unfinished.owner, unfinished.after, unfinished.path)
            )

    def _checked(
        self, objects: Sequence[JsonObject], entity: Entity, ceiling: datetime, sizes: Sequence[int] | None
    ) -> Page:
        records: list[Record] = []
        refused: list[Rejected] = []
        latest: datetime | None = None
        check = entity.check
        for position, item in enumerate(objects):
            try:
                identity = gid(item.get("id"))
                updated = check(item)
                size = sizes[position] if sizes is not None else 0
                if sizes is None or size > LARGEST_PAYLOAD // 2:
                    small_enough(_size(item))
            except Flaw as flaw:
                refused.append(rejected(item, flaw, _known_id(item)))
                continue
            except (AttributeError, TypeError) as error:
                refused.append(rejected(item, Flaw("invalid_shape", f"unexpected shape: {error}"), _known_id(item)))
                continue
            records.append(Record(identity, item, updated))
            if updated is not None and (latest is None or updated > latest):
                latest = updated
        cursor = None
        if latest is not None and not entity.stream.full_refresh:
            cursor = utc_text(min(latest, ceiling))
        return Page(records, refused, cursor, self._cost())

    def _cost(self) -> Decimal:
        spent, self._spent_before = self.client.spent - self._spent_before, self.client.spent
        return spent

    def recheck(self, stream: Stream, payloads: Sequence[JsonObject], *, now: datetime) -> Page:
        """The checks of `pages` on objects kept in quarantine, whose lists are already followed to their end."""
        return self._checked(payloads, ENTITIES[stream.name], now, None)

    # -- ids ------------------------------------------------------------------------------------------------

    def living_ids(self, stream: Stream) -> Iterator[str]:
        """Every id the shop has now (some perhaps twice), for finding what was deleted. Raises rather than end
        early."""
        entity = ENTITIES[stream.name]
        if entity.ids_bulk is not None and self.bulk_first:
            try:
                yield from self._bulk_ids(entity.ids_bulk)
                return
            except BulkUnavailable as reason:
                log.info("shopify: ids of %s are read page by page: %s", stream.name, reason)
        name = entity.ids_page or entity.page
        variables: dict[str, Any] = {} if entity.ids_page else dict(entity.variables)
        expected = self._expected(entity, None)
        state = Walk()
        walk = self.client.walk(name, entity.root, {**variables, "query": None}, resume=_resume_by_id, state=state)
        for nodes in walk:
            for node in nodes:
                yield gid(node.get("id"))
        if expected is not None and state.nodes_read < min(expected, self._expected(entity, None) or 0):
            raise TransientFailure(f"shopify: {stream.name}: only {state.nodes_read} of {expected} ids came")

    def _bulk_ids(self, operation: str) -> Iterator[str]:
        finished = self.bulk.run(operation, None)
        if finished.file is not None:
            with finished.file as file:
                for item, _ in assemble(file, Shape()):
                    yield gid(item.get("id"))

    # -- tie-out --------------------------------------------------------------------------------------------

    def shop(self) -> Shop:
        """Name, currency and zone of the shop; asked once."""
        if self._shop is None:
            data = self.client.run("Shop")["shop"]
            zone = str(data.get("ianaTimezone"))
            try:
                zone_of(zone)
            except ValueError:
                raise PermanentFailure(
                    f"shopify: the shop's time zone {zone!r} is not known here; update tzdata"
                ) from None
            self._shop = Shop(str(data.get("name")), str(data.get("currencyCode")), zone)
        return self._shop

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """Orders: for each day of `processedAt` in the shop's zone, how many there are, and the gross sales of
        Shopify's own sales report where the app may read reports (else no amount). Days None: from the first
        order to the last. Customers, products and discounts: how many there are in all. Inventory items: the
        count of variants, each of which has one. Locations, which Shopify counts without saying whether closed ones
        are among them: a second listing. There is one shop."""
        entity = ENTITIES[stream.name]
        if not stream.ties_out:
            return []
        if stream.name == "shop":
            return [ControlTotal(stream.name, None, 1)]
        if stream.name == "inventory_items":
            answer = self.client.run("VariantCount", {"query": None})["total"]
            return [ControlTotal(stream.name, None, _exact(answer, "productVariantsCount"))]
        if stream.name == "locations":
            return [ControlTotal(stream.name, None, len(set(self.living_ids(stream))))]
        if stream.name != "orders":
            assert entity.count is not None
            answer = self.client.run(entity.count, {"query": None})["total"]
            return [ControlTotal(stream.name, None, _exact(answer, entity.count))]
        wanted = sorted(set(days)) if days is not None else self._all_days()
        counts = self._daily_counts(wanted)
        sales = self._gross_sales(wanted)
        currency = self.shop().currency
        return [
            ControlTotal("orders", day, counts[day], None if sales is None else sales.get(day, Decimal(0)), currency)
            for day in wanted
        ]

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        """The landed side. The amount of orders is *gross sales* as Shopify's reports define it: price times
        quantity before discounts, returns, taxes and shipping, on the day the order was processed, without
        test orders and gift cards, returns not subtracted. It is NULL (not compared) for days with an order
        whose prices include tax (the report takes the tax out; a line does not say how much it is) or that was
        edited after it was placed (the report books an edit on the day of the edit)."""
        if not stream.ties_out:
            return None
        if stream.name != "orders":
            sql = (
                f"select null::date as day, count(*)::bigint as count, null::numeric as amount"
                f" from raw_shopify.{stream.name} where deleted_at is null"
            )
            return LandedQuery(stream.name, sql)
        day = f"((payload->>'processedAt')::timestamptz at time zone '{self.shop().zone}')::date"
        sql = f"""
            select day, count(*)::bigint as count,
                   case when bool_or(not_comparable) then null else coalesce(sum(gross), 0) end as amount
            from (
                select {day} as day,
                       coalesce((payload->>'taxesIncluded')::boolean, false)
                           or coalesce((payload->>'edited')::boolean, false) as not_comparable,
                       case when not (payload->>'test')::boolean then (
                           select sum((line#>>'{{originalTotalSet,shopMoney,amount}}')::numeric)
                           from jsonb_array_elements(payload->'lineItems') as line
                           where not coalesce((line->>'isGiftCard')::boolean, false)
                       ) end as gross
                from raw_shopify.orders
                where deleted_at is null
            ) as by_order
            where %(days)s::date[] is null or day = any(%(days)s::date[])
            group by day
        """
        return LandedQuery("orders", sql, day, zone=self.shop().zone)

    def _all_days(self) -> list[date]:
        ends = []
        zone = ZoneInfo(self.shop().zone)
        for reverse in (False, True):
            nodes = self.client.run("FirstOrderDay", {"reverse": reverse})["orders"]["nodes"]
            if not nodes:
                return []
            ends.append(datetime.fromisoformat(nodes[0]["processedAt"]).astimezone(zone).date())
        first, last = ends
        return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]

    def _daily_counts(self, days: Sequence[date]) -> dict[date, int]:
        zone = self.shop().zone
        counts: dict[date, int] = {}
        for start in range(0, len(days), DAYS_PER_COUNT_QUERY):
            chunk = days[start : start + DAYS_PER_COUNT_QUERY]
            parts = []
            for position, day in enumerate(chunk):
                begin, end = (utc_text(at) for at in day_bounds(day, zone))
                search = f"processed_at:>='{begin}' AND processed_at:<'{end}'"
                parts.append(f'd{position}: ordersCount(query: "{search}", limit: null) {{ count precision }}')
            data = self.client.run_text("{ " + " ".join(parts) + " }", label="OrderCounts", items=len(chunk))
            for position, day in enumerate(chunk):
                counts[day] = _exact(data[f"d{position}"], "ordersCount")
        return counts

    def _gross_sales(self, days: Sequence[date]) -> dict[date, Decimal] | None:
        """Gross sales by day out of the shop's reports, or None where they cannot be read exactly."""
        sales: dict[date, Decimal] = {}
        try:
            for begin, end in _spans(days):
                query = (
                    f"FROM sales SHOW gross_sales SINCE {begin} UNTIL {end} TIMESERIES day ORDER BY day ASC LIMIT 1000"
                )
                answer = self.client.run("Sales", {"query": query})["shopifyqlQuery"] or {}
                errors = answer.get("parseErrors")
                table = answer.get("tableData")
                if errors or not isinstance(table, dict):
                    log.warning("shopify: orders tie out by count alone: the sales report said %s", errors or "nothing")
                    return None
                sales.update(read_sales(table))
        except PermanentFailure as failure:
            log.info("shopify: orders tie out by count alone: %s", failure)
            return None
        return sales

    # -- health ---------------------------------------------------------------------------------------------

    def probe(self) -> Iterator[Probe]:
        """Ask for the shop, its scopes by `currentAppInstallation`, one record of every stream with the shop's own
        count, and the sales report; cheapest first."""
        try:
            shop = self.shop()
            # The scopes as the installed app has them now; those of the token are as old as the token.
            granted = _granted(self.client.run("Shop")) or self.client.scopes
        except OpsError as error:
            remedy = "check SHOPIFY_SHOP, SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, and that the app is installed"
            yield Probe("credentials", False, str(error), remedy, tuple(ENTITIES))
            return
        yield Probe("credentials", True, f"{shop.name}, {shop.currency}, {shop.zone}, API {self.client.version}")
        if granted:
            yield _scopes(granted)
        for name, entity in ENTITIES.items():
            if name != "shop":
                yield self._probe_entity(name, entity)
        yield self._probe_sales()

    def _probe_entity(self, name: str, entity: Entity) -> Probe:
        try:
            variables = {**dict.fromkeys(entity.variables, 1), "first": 1, "after": None, "query": None}
            nodes = self.client.run(entity.page, variables, items=0)[entity.root]["nodes"]
            counted = self._expected(entity, None)
        except OpsError as error:
            again = isinstance(error, TransientFailure)
            remedy = "try again later" if again else f"give the app the scope {SCOPES[name]} and install it again"
            return Probe(name, False, str(error), remedy, (name,))
        if counted and not nodes:
            return Probe(name, False, f"counts {counted:,} and shows none", "try again later", (name,))
        said = "answers, and has no record" if not nodes else "answers" if counted is None else f"{counted:,} records"
        return Probe(name, True, said)

    def _probe_sales(self) -> Probe:
        try:
            sales = self._gross_sales([datetime.now(UTC).date()])
        except TransientFailure as error:
            return Probe("sales report", False, str(error), "try again later")
        if sales is None:
            remedy = "give the app the scope read_reports; without it the sums of orders are not tied out"
            return Probe("sales report", False, "not readable", remedy)
        return Probe("sales report", True, "answers")

    def close(self) -> None:
        self.client.http.close()


# -- small parts --------------------------------------------------------------------------------------------


def _granted(data: JsonObject) -> frozenset[str]:
    """The handles of the scopes the installed app has."""
    installation = data.get("currentAppInstallation")
    scopes = installation.get("accessScopes") if isinstance(installation, dict) else None
    return frozenset(str(each.get("handle")) for each in scopes or () if isinstance(each, dict))


def _scopes(granted: frozenset[str]) -> Probe:
    # To write something is to be allowed to read it.
    held = granted | {f"read_{scope.removeprefix('write_')}" for scope in granted if scope.startswith("write_")}
    lacking = {name: scope for name, scope in SCOPES.items() if scope not in held}
    if lacking:
        remedy = f"add {', '.join(lacking.values())} to the app and install it again"
        return Probe("scopes", False, f"lacks {', '.join(lacking.values())}", remedy, tuple(lacking))
    if "read_all_orders" not in held:
        remedy = "ask for read_all_orders; without it only orders of the last 60 days are visible"
        return Probe("scopes", False, "lacks read_all_orders", remedy, ("orders",))
    needed = {*SCOPES.values(), "read_all_orders", "read_reports"}
    return Probe("scopes", True, f"{len(granted)} granted, none missing", excess=tuple(sorted(granted - needed)))


def search_since(entity: Entity, since: datetime) -> str:
    """The search filter for what changed at or after `since`."""
    if entity.whole_days:
        since = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return f"updated_at:>='{utc_text(since)}'"


def _resume(entity: Entity, within: str | None = None) -> Any:
    if entity.cursor_order == "updated_at":

        def further(node: JsonObject) -> str | None:
            if not _is_time(node.get("updatedAt")):
                return None
            since = search_since(entity, datetime.fromisoformat(node["updatedAt"]))
            return since if within is None else f"{since} AND {within}"

        return further
    return _resume_by_id if entity.cursor_order == "id" else None


def _resume_by_id(node: JsonObject) -> str | None:
    number = str(node.get("id", "")).partition("?")[0].rsplit("/", 1)[-1]
    return f"id:>{number}" if number.isdigit() else None


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _known_id(item: Any) -> str | None:
    value = item.get("id") if isinstance(item, dict) else None
    return value if isinstance(value, str) and value else None


def _size(item: JsonObject) -> int:
    return len(orjson.dumps(item))


def _exact(answer: Any, what: str) -> int:
    """A count that the vendor calls exact. A rounded one would tie out by luck or not at all."""
    if not isinstance(answer, dict) or not isinstance(answer.get("count"), int):
        raise TransientFailure(f"shopify: {what}: no count was given")
    if answer.get("precision") != "EXACT":
        raise TransientFailure(f"shopify: {what}: the count is only {answer.get('precision')}")
    return int(answer["count"])


def _spans(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Ranges that cover `days` (sorted), none longer than a report may be."""
    begin: date | None = None
    last: date | None = None
    for day in days:
        if begin is None or last is None or (day - begin).days >= DAYS_PER_SALES_QUERY or (day - last).days > 31:
            if begin is not None and last is not None:
                yield begin, last
            begin = day
        last = day
    if begin is not None and last is not None:
        yield begin, last


def read_sales(table: JsonObject) -> dict[date, Decimal]:
    """Rows of a sales report by day. A row is an object by column name, or a list in the order of columns."""
    names = [column.get("name") for column in table.get("columns") or () if isinstance(column, dict)]
    rows = table.get("rows")
    result: dict[date, Decimal] = {}
    for row in rows if isinstance(rows, list) else ():
        values = dict(zip(names, row, strict=False)) if isinstance(row, list) else row
        try:
            day = date.fromisoformat(str(values["day"])[:10])
            result[day] = Decimal(str(values["gross_sales"] or 0))
        except (KeyError, TypeError, ValueError, InvalidOperation):
            raise PermanentFailure("shopify: the sales report has rows of an unknown form") from None
    return result

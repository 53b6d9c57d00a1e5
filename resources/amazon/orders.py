"""Orders, read by when they last changed, in windows, as far as Amazon's slow rate and the time allow.

Belongs here: windows, the place a read stopped at, and going on from it. Does not belong here: what an order must
have (`records.py`), the pace itself (`pace.py`).

`searchOrders` promises no order of its results, so only a window read to its end moves the cursor; within a window
a page token can be kept for 24 hours. One page takes three minutes once the burst is spent: a first load of a busy
shop takes days. A read that runs out of its time therefore ends with what it has and a cursor that says where to
go on, `START/END/PAGE/ISSUED/TOKEN`; it sorts after START and before END, as the loader needs. `fresh_to` of such
a read is START: nothing later is claimed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ops_platform.failures import TransientFailure
from ops_platform.ingestion.contract import Page
from ops_platform.records import JsonObject
from resources.amazon.client import AmazonClient, Doubts, InvalidInput, Throttled
from resources.amazon.records import STREAMS, check_order, checked, kept_of_order
from resources.record_checks import utc_text

log = logging.getLogger(__name__)

PATH = "/orders/2026-01-01/orders"
# On purpose without BUYER and RECIPIENT.
INCLUDED = "PROCEEDS,FULFILLMENT"
PAGE_SIZE = 100
# Amazon refuses an end later than two minutes ago by its clock; ours may be a little ahead.
MARGIN = timedelta(minutes=4)
# Amazon keeps two years. A day less, so that no request begins beyond them.
HISTORY = timedelta(days=729)
TOKEN_LIVES = timedelta(hours=23)
WHOLE_WINDOW = timedelta(days=14)
BLIND_WINDOW = timedelta(days=30)
ORDERS_PER_WINDOW = 1_000
SMALLEST_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a read of the window [start, end] stopped: `pages` read, the next one by `token`, issued at `issued`."""

    start: datetime
    end: datetime
    pages: int = 0
    issued: datetime | None = None
    token: str = ""

    def text(self) -> str:
        issued = utc_text(self.issued) if self.issued is not None else "-"
        return f"{utc_text(self.start)}/{utc_text(self.end)}/{self.pages:06d}/{issued}/{self.token}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """The place a cursor names, or None for a cursor that is a plain time."""
        if "/" not in text:
            return None
        start, end, pages, issued, token = text.split("/", 4)
        return cls(
            datetime.fromisoformat(start),
            datetime.fromisoformat(end),
            int(pages),
            None if issued == "-" else datetime.fromisoformat(issued),
            token,
        )


class OrderReader:
    """One read of the orders of a marketplace. `stopped_at` is set when the time ran out: everything that changed
    before it has been read. `daily` gives the orders of each day since a day, or None where that is not told."""

    def __init__(
        self,
        client: AmazonClient,
        marketplace_id: str,
        *,
        page_size: int = PAGE_SIZE,
        budget_seconds: float,
        daily: Any,
        by: str = "lastUpdated",
    ) -> None:
        self.client = client
        # What a window is of: the last change of an order, or its creation ("created").
        self.by = by
        self.marketplace_id = marketplace_id
        self.page_size = page_size
        self.budget_seconds = budget_seconds
        self.stopped_at: datetime | None = None
        self._daily = daily
        self._spent_before = client.requests
        self._short_is_normal = False
        self._empty_is_normal = False
        self._refusal: Throttled | None = None

    def pages(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        deadline = self.client.http.clock() + self.budget_seconds
        until = now - MARGIN
        progressed = False
        for window in self._windows(cursor, until, now):
            latest: datetime | None = None
            for page, place in self._window(window, now, deadline):
                if page is None:
                    # Out of time. Nothing read at all is a refusal, not a partial read.
                    if not progressed and self._refusal is not None:
                        raise self._refusal
                    self.stopped_at = place.start
                    log.warning("amazon: orders are read up to %s; the rest follows", utc_text(place.start))
                    yield Page([], cursor=place.text() if place.token else utc_text(place.start), api_cost=self._cost())
                    return
                progressed = True
                changes = [each.updated_at for each in page.records if each.updated_at is not None]
                latest = max([*changes, *([latest] if latest is not None else [])], default=None)
                yield page
            if window.end < until:
                yield Page([], cursor=utc_text(window.end), api_cost=self._cost())
            elif latest is not None:
                # Of the newest window only what was seen counts: what Amazon shows late is found by the look-back.
                yield Page([], cursor=utc_text(min(latest, until)), api_cost=self._cost())

    def spans(self, spans: Sequence[tuple[datetime, datetime]], now: datetime) -> Iterator[Page]:
        """The orders of these windows, each to its end, all within one time budget. Raises where it does not
        suffice."""
        deadline = self.client.http.clock() + self.budget_seconds
        for start, end in spans:
            for page, _ in self._window(Place(start, min(end, now - MARGIN)), now, deadline):
                if page is None:
                    raise self._refusal or TransientFailure("amazon: there was no time to read days of orders again")
                yield page

    # -- windows --------------------------------------------------------------------------------------------

    def _windows(self, cursor: str | None, until: datetime, now: datetime) -> Iterator[Place]:
        oldest = now - HISTORY
        place = Place.parse(cursor) if cursor is not None else None
        if place is not None and place.start >= oldest and place.end <= until:
            if place.token and place.issued is not None and place.issued <= now < place.issued + TOKEN_LIVES:
                yield place
                since = place.end
            else:
                # The token has ended and with it the place: a shorter window will fit into the time.
                log.info("amazon: the page token of %s has ended; that window begins again", utc_text(place.start))
                since = min(place.end, place.start + max((place.end - place.start) / 8, SMALLEST_WINDOW))
                yield Place(place.start, since)
        else:
            if cursor is None:
                since = oldest
            else:
                at = place.start if place is not None else datetime.fromisoformat(cursor)
                # A cursor ahead of the clock must not hide what comes.
                since = max(oldest, min(at, now) - STREAMS["orders"].look_back)
            if since >= until:
                since = until - timedelta(minutes=1)
        yield from self._planned(since, until)

    def _planned(self, since: datetime, until: datetime) -> Iterator[Place]:
        """Windows of about as many orders as a burst reads, so that few requests bring empty pages."""
        if since >= until:
            return
        if until - since <= WHOLE_WINDOW:
            yield Place(since, until)
            return
        daily: Mapping[date, int] | None = self._daily(since, until)
        start, held = since, 0
        if daily is None:
            while start < until:
                yield Place(start, min(start + BLIND_WINDOW, until))
                start += BLIND_WINDOW
            return
        for day in sorted(daily):
            held += daily[day]
            cut = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
            if held >= ORDERS_PER_WINDOW and start < cut < until:
                yield Place(start, cut)
                start, held = cut, 0
        yield Place(start, until)

    # -- one window -----------------------------------------------------------------------------------------

    def _window(self, place: Place, now: datetime, deadline: float) -> Iterator[tuple[Page | None, Place]]:
        """Yield each page with the place after it; None instead of a page when the time has run out."""
        seen_tokens = {place.token}
        seen_ids: set[str] = set()
        restarted = False
        while True:
            try:
                data = self._ask(place, seen_tokens, seen_ids, deadline)
            except Throttled as refusal:
                self._refusal = refusal
                yield None, place
                return
            except InvalidInput:
                if not place.token or restarted:
                    raise
                log.info("amazon: a page token was refused; its window begins again")
                restarted = True
                place = Place(place.start, place.end)
                seen_tokens, seen_ids = {""}, set()
                continue
            good, bad = checked(
                [kept_of_order(order) if isinstance(order, dict) else order for order in data["orders"]],
                check_order,
                "orderId",
            )
            seen_ids |= {record.id for record in good}
            token = _next_token(data)
            place = Place(place.start, place.end, place.pages + 1, now, token)
            yield Page(good, bad, None, self._cost()), place
            if not token:
                return
            seen_tokens.add(token)

    def _ask(self, place: Place, seen_tokens: set[str], seen_ids: set[str], deadline: float) -> JsonObject:
        params: dict[str, str | int] = {
            "marketplaceIds": self.marketplace_id,
            f"{self.by}After": utc_text(place.start),
            f"{self.by}Before": utc_text(place.end),
            "includedData": INCLUDED,
            "maxResultsPerPage": self.page_size,
        }
        if place.token:
            params["paginationToken"] = place.token

        doubts = Doubts()

        def accept(data: Any) -> None:
            if not isinstance(data.get("orders"), list):
                raise TransientFailure("amazon: searchOrders answered without orders")
            token = _next_token(data)
            if token and token in seen_tokens:
                raise TransientFailure("amazon: searchOrders leads back to a page already read")
            ids = [order.get("orderId") for order in data["orders"] if isinstance(order, dict)]
            if ids and seen_ids.issuperset(ids):
                doubts.once(place.token, "searchOrders repeats a page already read")
            if place.token and not data["orders"] and not token:
                doubts.once(place.token, "searchOrders announced a page and it is empty")

        left = max(0.0, deadline - self.client.http.clock())
        data: JsonObject = self.client.get("searchOrders", PATH, params, accept, budget_seconds=left)
        count = len(data["orders"])
        # A page that is not full though another follows, and a first page with nothing on it (the order that the
        # cursor comes from should at least be there), are asked for again, until that has shown nothing new once.
        short = bool(_next_token(data)) and count < self.page_size and not self._short_is_normal
        empty = count == 0 and place.pages == 0 and not self._empty_is_normal
        if not short and not empty:
            return data
        left = max(0.0, deadline - self.client.http.clock())
        try:
            again: JsonObject = self.client.get("searchOrders", PATH, params, accept, budget_seconds=left)
        except Throttled:
            return data
        if len(again["orders"]) > count:
            return again
        self._short_is_normal |= short
        self._empty_is_normal |= empty
        return data

    def _cost(self) -> Decimal:
        spent, self._spent_before = self.client.requests - self._spent_before, self.client.requests
        return Decimal(spent)


def _next_token(data: JsonObject) -> str:
    pagination = data.get("pagination")
    token = pagination.get("nextToken") if isinstance(pagination, dict) else None
    return token if isinstance(token, str) else ""

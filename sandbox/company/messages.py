"""What the factories and carriers write at night, and what we answer.

Belongs here: the partner channels' messages and threads up to the clock. Does not belong here: Slack's wording.
The factories are twelve to thirteen hours ahead: their working day is our evening and night.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from operator import itemgetter
from random import Random
from zoneinfo import ZoneInfo

from sandbox.company.catalogue import CHANNELS, FIRST_DAY, USERS, ZONE, Demand
from sandbox.company.chance import poisson, stream
from sandbox.company.model import FactoryMessage, PurchaseOrder, Reply, SlackChannel
from sandbox.company.season import local

_SHANGHAI = ZoneInfo("Asia/Shanghai")

_QUESTIONS = (
    "Please confirm the packaging artwork for {sku}, we need your answer before cutting tomorrow.",
    "{po}: resin shade is slightly off against the master sample. Can we go ahead or do you want a new batch?",
    "Customs asks for the battery test report (UN38.3) for {sku}. Can you send it today?",
    "{po} – should we ship by air or keep the sea booking? Air is about 3 days faster per carton. 🚢✈️",
    "We can only get {n} pcs of the driver chip this week. Split the delivery of {po}?",
    "关于 {sku} 的包装，请确认条形码位置。Please confirm the barcode position?",
    "Inspection found {n} units of {sku} with scratches. Rework or discount — which one do you prefer?",
    "Pro-forma for the next order of {sku} is attached. Could you sign and return?",
    "Carton label for {po}: keep the old address or the new Newark dock number?",
)
_STATEMENTS = (
    "{po} passed final inspection, {n} cartons ready.",
    "Good morning! Line 2 runs {sku} today, output about {n} pcs. 👍",
    "{po} left the factory, truck to Yantian port.",
    "Public holiday next week, the line will stop for two days.",
    "包装材料已到仓库。Packing material for {sku} arrived.",
    "Tooling for {sku} is back from maintenance.",
    "Photos of the golden sample uploaded, thanks for your patience 🙏",
)
_LOGISTICS_QUESTIONS = (
    "Container for {po} is on hold at the port, we need the commercial invoice. Can you send it?",
    "الشحنة {po} جاهزة — please confirm delivery slot at Newark dock?",
    "Storage at Long Beach becomes chargeable on Friday for {po}. Approve the earlier trucking?",
)
_LOGISTICS_STATEMENTS = (
    "{po}: vessel ETA moved by one day, no action needed.",
    "{po} cleared customs ✅",
    "Delivery appointment at Reno confirmed for {po}.",
)
_ANSWERS = (
    "Confirmed, please go ahead.", "Thanks — sent by e-mail just now.", "Let's keep sea freight.",
    "Please hold, we decide after the call.", "Approved ✅", "Rework please, and send photos.",
)  # fmt: skip
_THANKS = ("Got it, thanks!", "收到", "OK, noted 👍")
_OURS = ("U0NORA", "U0DAN", "U0PRIYA")
_ABROAD = "U0PRIYA"
_PLACED_AT = itemgetter(0)


def build_messages(
    seed: int, clock: datetime, demands: Sequence[Demand], purchases: Sequence[PurchaseOrder]
) -> tuple[FactoryMessage, ...]:
    """Every message not later than the clock, with the replies written by then, in order of time."""
    found: list[FactoryMessage] = []
    last = clock.astimezone(ZONE).date()
    partners = [channel for channel in CHANNELS if channel.partner is not None]
    skus = {
        channel.id: [d.variant.sku for d in demands if d.variant.supplier_id == channel.supplier_id]
        or [d.variant.sku for d in demands[:20]]
        for channel in partners
    }
    # Logistics knows of every purchase, a factory of its own.
    placed = {
        channel.id: sorted(
            (purchase.created_at, purchase.number)
            for purchase in purchases
            if channel.supplier_id in (None, purchase.supplier_id)
        )
        for channel in partners
    }
    day = FIRST_DAY
    # The partner's day begins on the evening before ours.
    while day <= last + timedelta(days=1):
        if day.weekday() < 5 or (day.weekday() == 5 and day.toordinal() % 3 == 0):
            rng = stream(seed, "messages", day)
            for place, channel in enumerate(partners):
                found.extend(_shift(rng, day, place, channel, skus[channel.id], placed[channel.id], clock))
        day += timedelta(days=1)
    found.sort(key=lambda message: (message.at, message.id))
    return tuple(found)


def _shift(
    rng: Random, day: date, place: int, channel: SlackChannel, skus: Sequence[str],
    placed: Sequence[tuple[datetime, str]], clock: datetime,
) -> list[FactoryMessage]:  # fmt: skip
    """One partner's working day. Everything is drawn whether or not the clock has reached it. `placed` has the instants
    and numbers of the purchase orders it knows of, in order of time."""
    authors = [user.id for user in USERS if user.partner == channel.partner]
    logistics = channel.supplier_id is None
    found: list[FactoryMessage] = []
    turn = rng.randrange(1000)
    for number in range(poisson(rng, 1.8)):
        morning = datetime(day.year, day.month, day.day, 9, 0, tzinfo=_SHANGHAI)
        moment = int(rng.random() * 32_000)
        at = (morning + timedelta(seconds=moment)).astimezone(ZoneInfo("UTC"))
        at += timedelta(microseconds=(place * 16 + number) * 100 + 19)
        asks = rng.random() < 0.52
        known = _latest(placed, at)
        author, amount, sku = rng.random(), rng.randint(3, 48), rng.random()
        pool: tuple[str, ...]
        if logistics:
            pool = _LOGISTICS_QUESTIONS if asks else _LOGISTICS_STATEMENTS
        else:
            pool = _QUESTIONS if asks else _STATEMENTS
        text = pool[(turn + number) % len(pool)].format(
            po=known or "PO-2000", sku=skus[int(sku * len(skus))], n=amount * 10
        )
        replies = _replies(rng, at, asks, authors[0])
        edit = at + timedelta(minutes=4) if rng.random() < 0.04 else None
        if at > clock:
            continue
        seen = tuple(reply for reply in replies if reply.at <= clock)
        edited = edit if edit is not None and edit <= clock else None
        found.append(
            FactoryMessage(
                id=day.toordinal() * 1000 + place * 100 + number,
                channel_id=channel.id,
                author_id=authors[int(author * len(authors))],
                at=at,
                text=text,
                needs_answer=asks,
                answered=any(reply.author_id in _OURS for reply in seen),
                replies=seen,
                edited_at=edited,
            )
        )
    return found


def _replies(rng: Random, at: datetime, asks: bool, author: str) -> list[Reply]:
    """Two in five are answered within the factory's day, most of the rest next morning, a few later or never."""
    draw, who, words = rng.random(), rng.random(), rng.random()
    delay, thanks = rng.random(), rng.random()
    chance = 1.0 if asks else 0.15
    if draw > 0.988 * chance:
        return []
    answerer = _OURS[int(who * len(_OURS))]
    ours = at.astimezone(ZONE)
    if draw < 0.42 * chance:
        # The sourcing lead lives in Hong Kong and sees it during the factory's day.
        answerer, answered = _ABROAD, at + timedelta(minutes=6 + int(delay * 90))
    else:
        next_morning = ours.date() + timedelta(days=1 if ours.hour >= 12 else 0)
        answered = local(next_morning, 8, 10) + timedelta(minutes=int(delay * 150))
    if draw > 0.93 * chance:
        answered += timedelta(days=2 + int(delay * 3))
    answered = max(answered, at + timedelta(minutes=3)).replace(microsecond=0) + timedelta(microseconds=at.microsecond)
    replies = [Reply(answerer, answered, _ANSWERS[int(words * len(_ANSWERS))])]
    if thanks < 0.4:
        replies.append(
            Reply(author, answered + timedelta(hours=11, minutes=int(thanks * 60)), _THANKS[int(thanks * 7)])
        )
    return replies


def _latest(placed: Sequence[tuple[datetime, str]], at: datetime) -> str | None:
    """The number of the last purchase order placed in the sixty days before the instant."""
    before = bisect_right(placed, at, key=_PLACED_AT)
    if before == 0 or placed[before - 1][0] < at - timedelta(days=60):
        return None
    return placed[before - 1][1]

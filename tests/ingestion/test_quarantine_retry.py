"""Records kept in quarantine land once the checks let them, exactly once, and never over something newer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion import quarantine_retry
from ops_platform.ingestion.contract import Page, Record, Rejected, Stream, SyncResult
from ops_platform.ingestion.sync import sync_stream
from tests.conftest import Connect
from tests.ingestion.test_sync import NOW, TODAY, Vendor, rows

CARDS = Stream("acme", "cards", "Cards.")
LATER = NOW + timedelta(hours=1)


class Checking(Vendor):
    """A vendor whose check refuses what `bad` says; `timed` records know when they changed."""

    def __init__(self, payloads: Sequence[dict[str, Any]], bad: Callable[[dict[str, Any]], bool], timed: bool) -> None:
        super().__init__([], None)
        self.payloads, self.bad, self.timed = payloads, bad, timed

    def pages(self, stream: Stream, cursor: str | None, *, now: Any) -> Any:
        yield self.recheck(stream, self.payloads, now=now)

    def recheck(self, stream: Stream, payloads: Sequence[dict[str, Any]], *, now: Any) -> Page:
        import json

        good, refused = [], []
        for payload in payloads:
            if self.bad(payload):
                refused.append(Rejected("bad_card", f"v is {payload['v']}", json.dumps(payload), payload["id"]))
            else:
                at = NOW + timedelta(minutes=payload["v"]) if self.timed else None
                good.append(Record(payload["id"], payload, at))
        return Page(good, refused)


def card(number: int, version: int = 0) -> dict[str, Any]:
    return {"id": f"k{number}", "v": version}


def land(connect: Connect, vendor: Vendor, now: Any = NOW) -> SyncResult:
    with connect() as connection:
        connection.autocommit = True
        ensure_raw_tables(connection, [("acme", "cards", "c")])
        return sync_stream(connection, vendor, CARDS, now=now, today=TODAY)


def retry(connect: Connect, vendor: Vendor, **options: Any) -> quarantine_retry.RetryResult:
    with connect() as connection:
        connection.autocommit = True
        return quarantine_retry.retry(connection, vendor, CARDS, now=LATER, today=TODAY, **options)


LANDED = "select id, (payload->>'v')::int from raw_acme.cards where deleted_at is null order by id"


@pytest.mark.parametrize("timed", [True, False])
def test_what_passes_now_lands_once_and_the_rest_stays(warehouse: Connect, timed: bool) -> None:
    payloads = [card(n, n) for n in range(6)]
    land(warehouse, Checking(payloads, lambda p: p["v"] >= 3, timed))
    looser = Checking([], lambda p: p["v"] >= 5, timed)
    result = retry(warehouse, looser)
    assert (result.tried, result.landed, result.remaining, result.reasons) == (3, 2, 1, {"bad_card": 1})
    assert rows(warehouse, LANDED) == [(f"k{n}", n) for n in range(5)]
    before = rows(warehouse, "select id, xmin::text from raw_acme.cards order by id")
    again = retry(warehouse, looser)
    assert (again.tried, again.landed, again.remaining) == (1, 0, 1)
    assert rows(warehouse, "select id, xmin::text from raw_acme.cards order by id") == before
    assert rows(warehouse, "select resolution, count(*) from ops.quarantine group by 1 order by 1") == [
        ("landed by retry", 2), (None, 1)
    ]  # fmt: skip
    exact = (
        "select count(*) from ops.sync_runs where received <> inserted + updated + unchanged + duplicates + quarantined"
    )
    assert rows(warehouse, exact) == [(0,)]
    assert rows(warehouse, "select kind, count(*) from ops.sync_runs group by 1 order by 1") == [
        ("retry", 2), ("sync", 1)
    ]  # fmt: skip


@pytest.mark.parametrize("timed", [True, False])
def test_an_older_kept_version_never_replaces_a_newer_landed_one(warehouse: Connect, timed: bool) -> None:
    land(warehouse, Checking([card(1, 1)], lambda p: True, timed))
    # A newer version lands, then somebody opens the old entry again.
    land(warehouse, Checking([card(1, 5)], lambda p: False, timed), now=NOW + timedelta(minutes=5))
    with warehouse() as connection:
        connection.execute("update ops.quarantine set resolved_at = null, resolution = null")
    result = retry(warehouse, Checking([], lambda p: False, timed))
    assert (result.landed, result.superseded, result.remaining) == (0, 1, 0)
    assert rows(warehouse, LANDED) == [("k1", 5)]


@pytest.mark.parametrize("timed", [True, False])
def test_a_newer_kept_version_replaces_an_older_landed_one(warehouse: Connect, timed: bool) -> None:
    land(warehouse, Checking([card(1, 1)], lambda p: False, timed))
    land(warehouse, Checking([card(1, 2)], lambda p: True, timed), now=NOW + timedelta(minutes=2))
    land(warehouse, Checking([card(1, 3)], lambda p: True, timed), now=NOW + timedelta(minutes=3))
    result = retry(warehouse, Checking([], lambda p: False, timed))
    assert (result.tried, result.landed, result.superseded) == (2, 1, 1)
    assert rows(warehouse, LANDED) == [("k1", 3)]


def test_what_was_deleted_since_is_not_brought_back(warehouse: Connect) -> None:
    land(warehouse, Checking([card(1, 1), card(2, 1)], lambda p: False, True))
    land(warehouse, Checking([card(1, 2)], lambda p: True, True), now=NOW + timedelta(minutes=2))
    with warehouse() as connection:
        connection.execute("update raw_acme.cards set deleted_at = %s where id = 'k1'", (NOW + timedelta(minutes=9),))
    result = retry(warehouse, Checking([], lambda p: False, True))
    assert (result.landed, result.superseded) == (0, 1)
    assert rows(warehouse, LANDED) == [("k2", 1)]


def test_a_retry_does_not_hide_a_failed_sync_nor_run_beside_one(warehouse: Connect) -> None:
    land(warehouse, Checking([card(1, 1)], lambda p: True, True))
    with warehouse() as other:
        other.execute("select pg_advisory_lock(4173, hashtext('acme.cards'))")
        assert retry(warehouse, Checking([], lambda p: False, True)).status == "skipped"
    assert retry(warehouse, Checking([], lambda p: False, True)).landed == 1
    latest = "select status from ops.sync_runs where kind = 'sync' order by id desc limit 1"
    assert rows(warehouse, latest) == [("succeeded",)]


def test_a_vendor_without_recheck_leaves_its_records_where_they_are(warehouse: Connect) -> None:
    land(warehouse, Checking([card(1, 1)], lambda p: True, True))
    result = retry(warehouse, Vendor([], None))
    assert (result.status, result.landed, result.remaining) == ("succeeded", 0, 1)


def test_a_payload_is_printed_without_controls_and_without_secrets() -> None:
    from ops_platform.commands.safe_text import printable, shown_payload

    raw = (
        '{"note": "\\u001b[2Jgone\\u0007\\u202edesrever\\r\\n", "api_key": "abcdef", "accessToken": "zzz", '
        '"text": "use xoxb-123456789012-abcdef and Bearer abcdefghijklmnop", "amount": 12.50, "name": "Zoë 🎧", '
        '"tokens_used": 5, "big": 12345678901234567890}'
    )
    shown = shown_payload(raw, ("hunter22",))
    assert "\x1b" not in shown and "\x07" not in shown and "\u202e" not in shown and "\r" not in shown
    assert "\\u001b[2Jgone" in shown
    for secret in ("abcdef", "zzz", "xoxb-", "abcdefghijklmnop"):
        assert secret not in shown
    assert "Zoë 🎧" in shown
    assert "12345678901234567890" in shown
    assert '"tokens_used": ' in shown and "5" in shown
    assert shown_payload("not json \x1b[31m hunter22", ("hunter22",)) == "not json \\u001b[31m [secret]"
    assert printable("a\u200bb") == "a\\u200bb"
    assert "characters more" in shown_payload('"' + "x" * 30_000 + '"')

"""What an alert says, kind by kind, and that nothing hostile in it is alive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ops_platform.alerts.announcement import Announcement, Incident, Kind, Silenced
from ops_platform.alerts.composing import AlertComposer
from ops_platform.alerts.evidence import bundle_of
from ops_platform.alerts.links import Links
from ops_platform.alerts.signal import Severity, Signal, Subject, SubjectKind
from ops_platform.documents import html, markdown, slack, terminal
from ops_platform.documents.alert import Standing, compose_alert
from ops_platform.documents.model import Document, Title, plain
from ops_platform.evidence.model import Bundle, CompanyProfile, Division
from ops_platform.evidence.store import load_bundle
from ops_platform.watch.judgement import Finding
from sandbox.slack.blocks import check_blocks
from tests.alerts.scenes import MORNING, signal
from tests.alerts.shop import sales
from tests.database.fresh_database import fresh_database
from tests.evidence.bundles import HOSTILE

COMPANY = CompanyProfile("Northbeam", "America/New_York", "USD", (Division("sales", "Sales"),))
D = Decimal


def incident(head: Signal, number: int = 12, **changes: Any) -> Incident:
    made = Incident(
        id=number, state="open", severity=head.severity, head=head.subject.key, label=head.label,
        members=(head.subject.key,), channel_key="alerts", opened_at=MORNING, since=head.period, owner="sales",
        division="sales",
    )  # fmt: skip
    return replace(made, **changes)


def said(kind: Kind, *signals: Signal, of: Incident | None = None, **more: Any) -> Announcement:
    incidents = more.pop("incidents", (of or incident(signals[0]),))
    return Announcement(kind=kind, at=MORNING, channel_key="alerts", incidents=incidents, signals=signals, **more)


@pytest.fixture(scope="module")
def made(server_home: Path, migrated: str) -> Iterator[Any]:
    """Bundles of announcements, from a database that only is read."""
    with fresh_database(server_home, migrated, "documents_read") as connect, connect() as connection:
        yield lambda announcement, link="": bundle_of(connection, announcement, COMPANY, link=link)


def shown(bundle: Bundle, standing: Standing | None = None) -> str:
    return terminal.render(compose_alert(bundle, standing), width=200)


def test_the_first_message_says_what_how_much_since_when_which_part_and_where(made: Any) -> None:
    orders = replace(signal("orders"), label="Orders", unit="count", value=D(62), expected=D(92), effect=D(-30), effect_money=None)  # fmt: skip  # noqa: E501
    bundle = made(said(Kind.OPENED, sales(), orders, first=True), "https://ops.example/alerts/12")
    assert shown(bundle) == (
        "🔴 Net sales: below its expected range\n"
        "📍 Value         $8,120 · expected $11,200–$14,800 · on Mon 2 Nov\n"
        "💰 Effect        −$4,870 · against expected\n"
        "🕒 Since         Mon 2 Nov · 1 day\n"
        "🔎 Driver        channel amazon −$3,900 (80%)\n"
        "🔗 Also          Orders 62 (−30)\n"
        "👥 For           Sales\n"
        "→ ops alert ack 12 · ops alert assign 12 WHO · ops alert snooze 12 DAY\n"
        "→ ops alert useful 12 · ops alert noise 12 · https://ops.example/alerts/12\n"
        "Alert 12 · level critical · tie-out unknown · ops alert show 12\n"
        "How it was judged: the same weekday of eight weeks\n"
    )
    assert plain(compose_alert(bundle).summary) == "🔴 Net sales: below its expected range — $8,120, −$4,870"


def test_where_no_money_is_known_that_is_said(made: Any) -> None:
    tickets = replace(sales(), label="Open tickets", unit="count", value=D(80), expected_low=None, expected=D(40),
                      expected_high=D(55), effect=D(40), effect_money=None, drivers=())  # fmt: skip
    text = shown(made(said(Kind.OPENED, tickets)))
    assert "Open tickets: above its expected range" in text
    assert "80 · expected at most 55" in text
    assert "+40 · no amount of money is known for it · against expected" in text


def test_a_failed_source_says_what_it_keeps_quiet(made: Any) -> None:
    source = Signal(
        Subject(SubjectKind.SOURCE, "shopify.orders"), Finding.BREACHED, date(2026, 11, 3), MORNING, "Shopify: orders",
        unit="hours", value=D("31.4"), expected_high=D(26), effect=D("5.4"), explanation="the last sync failed",
    )  # fmt: skip
    quiet = tuple(Silenced(f"metric:m{n}", f"Metric {n}") for n in range(7))
    text = shown(made(said(Kind.OPENED, source, silenced=quiet)))
    assert text.startswith("🟠 Shopify: orders — data out of date\nThe last sync failed\n")
    assert "Age of data   31 h · limit 26 h" in text
    assert "7 held back until it is well · Metric 0, Metric 1, Metric 2, Metric 3, Metric 4 and 2 more" in text
    assert "💰" not in text
    failing = replace(source, value=D(2), effect=None)
    assert shown(made(said(Kind.OPENED, failing))).startswith("🟠 Shopify: orders — not syncing")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.WORSENED, "🔺 Worse: Net sales $8,120 on Mon 2 Nov, −$4,870 (expected $11,200–$14,800). Was alert, is critical."),  # noqa: E501
        (Kind.RELAPSED, "🔁 Out again: Net sales $8,120 on Mon 2 Nov, −$4,870 (expected $11,200–$14,800)"),
        (Kind.STILL, "⏳ Still so: Net sales $8,120 on Mon 2 Nov, −$4,870 (expected $11,200–$14,800). Open since Mon 2 Nov, 1 day."),  # noqa: E501
        (Kind.UNKNOWN, "◌ Cannot be judged now: Net sales. It is not known to be over."),
        (Kind.UNSEEN, "◌ Closed, not known to be over: Net sales."),
        (Kind.TAKEN, "👤 It was taken — Dana"),
    ],
)  # fmt: skip
def test_what_follows_in_the_thread_is_a_line(made: Any, kind: Kind, expected: str) -> None:
    more: dict[str, Any] = {"severity_before": Severity.ALERT} if kind is Kind.WORSENED else {}
    if kind is Kind.TAKEN:
        more = {"note": "It was taken", "actor": "Dana"}
    text = terminal.render(compose_alert(made(said(kind, sales(), **more))), width=200)
    assert text == expected + "\n"


def test_resolution_is_told_with_when_it_began_and_how_long_it_lasted(made: Any) -> None:
    well = sales(3, "clear", value=D(12600), effect=D(-390), effect_money=D(-390))
    over = incident(well, state="resolved", resolved_at=MORNING + timedelta(days=3), since=date(2026, 11, 2))
    text = shown(made(said(Kind.RESOLVED, well, of=over)))
    assert text.startswith("🟢 Resolved: Net sales $12,600 on Thu 5 Nov (expected $11,200–$14,800). ")
    assert "It began on Mon 2 Nov and lasted 3 days.\n" in text
    assert "−" not in text  # what is inside its range has no effect to tell
    assert "ops alert useful 12" in text


def test_a_storm_is_one_message_the_loudest_first(made: Any) -> None:
    heads = [replace(signal(f"m{n}", severity="critical" if n == 8 else "watch"), label=f"Metric {n}") for n in range(14)]  # noqa: E501  # fmt: skip
    incidents = tuple(incident(head, 20 + n) for n, head in enumerate(heads))
    document = compose_alert(made(said(Kind.STORM, *heads, incidents=incidents, first=True)))
    lines = terminal.render(document, width=100).splitlines()
    assert lines[0] == "🔴 14 alerts at once"
    assert lines[1].startswith("🔴 Metric 8")
    assert lines[-1] == "and 4 more · ops alert list"
    assert len(slack.render(document)) == 1


def test_what_people_did_shows_and_takes_its_button_away(made: Any) -> None:
    bundle = made(said(Kind.OPENED, sales()))
    text = shown(bundle, Standing("Dana", None, date(2026, 11, 5), date(2026, 11, 9), "noise", edition=3))
    assert "✓ Acknowledged  by Dana" in text
    assert "• Snoozed       until Thu 5 Nov" in text
    assert "• Muted         through Mon 9 Nov" in text
    assert "ops alert ack" not in text
    over = compose_alert(bundle, Standing(resolved_at=MORNING, edition=4))
    assert terminal.render(over).startswith("🟢 ")
    assert "ops alert snooze" not in terminal.render(over)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_keeps_slacks_limits_and_lets_nothing_hostile_live(made: Any, kind: Kind) -> None:
    for text in ("Net sales", *HOSTILE):
        hostile(made, kind, text)


def hostile(made: Any, kind: Kind, text: str) -> None:
    head = replace(
        sales(), label=f"{text}" * 3, explanation=text,
        subject=Subject(SubjectKind.METRIC, "net_sales", "campaign", text[:200] or "x"),
        drivers=tuple(replace(sales().drivers[0], label=text) for _ in range(9)),
    )  # fmt: skip
    of = incident(head, acknowledged_by=text, assignee=text, unknown_since=MORNING, previous=3, flapping=True)
    incidents = () if kind in (Kind.BLIND, Kind.SIGHTED) else (of,)
    announcement = said(
        kind, head, *(replace(head, subject=Subject(SubjectKind.METRIC, f"m{n}")) for n in range(15)),
        incidents=incidents, note=text, actor=text, silenced=(Silenced("k", text),) * 30,
        changed=(head.subject.key,), severity_before=Severity.WATCH, first=True,
    )  # fmt: skip
    bundle = made(announcement)
    assert Bundle.from_json(bundle.to_json()) == bundle
    document = compose_alert(bundle, Standing(text, text, date(2026, 11, 5), None, "useful", edition=10**8))
    assert Document.from_json(document.to_json()) == document
    for message in slack.render(document):
        assert check_blocks(list(message.blocks)) == []
        assert len(message.text) <= 4000
        for block in message.blocks:
            assert "<!" not in str(block)
            assert "<@" not in str(block)
    assert "\x1b" not in terminal.render(document)
    assert "<script" not in html.render(document)
    markdown.render(document)


def test_what_was_said_replays_from_what_was_kept(warehouse: Any) -> None:
    with warehouse() as connection:
        composed = AlertComposer(COMPANY, Links("https://ops.example/"))(connection, said(Kind.OPENED, sales()))
    with warehouse() as connection:
        row = connection.execute(
            "select evidence_digest, document from ops.documents where id = %s", (composed.document_id,)
        ).fetchone()
        again = compose_alert(load_bundle(connection, row[0]))
    assert Document.from_json(row[1]) == again
    assert slack.render(again)[0].payload() == composed.payload
    (opens,) = [
        element for block in composed.payload["blocks"] for element in block.get("elements", []) if "url" in element
    ]
    assert opens["url"] == "https://ops.example/alerts/12"


def test_a_part_is_named_once_and_not_by_a_system_s_number(made: Any) -> None:
    """A lead by its company, a finding in words; a part that the label does not name is named behind it."""
    lead = replace(
        signal("hot_leads", kind="threshold", dimension="lead_id", value="51700001751"), label="Hot lead: Müller"
    )
    finding = signal("orders_differ", kind="threshold", dimension="finding", value="missing_in_erp")
    finding = replace(finding, label="Orders that differ: missing in erp")
    channel = replace(signal("orders", dimension="channel", value="web"), label="Orders")
    for head, title in ((lead, "Hot lead: Müller"), (finding, "Orders that differ: missing in erp"),
                        (channel, "Orders, channel web: below its expected range")):  # fmt: skip
        first = compose_alert(made(said(Kind.OPENED, head))).blocks[0]
        assert isinstance(first, Title)
        assert plain(first.text).endswith(title), plain(first.text)

"""A narrative as its readers see it: every number a claim, other people's words quoted, what is missing said."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.documents import html, markdown, slack, terminal
from ops_platform.documents.kinds import compose
from ops_platform.documents.model import Document, Footer, Title, Words, plain, spans_of
from ops_platform.evidence.model import Bundle, Comparison, Fact, Period, Row, Source
from ops_platform.failures import DataFailure
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import check
from ops_platform.writing.draft import Draft
from ops_platform.writing.rules import RulesWriter
from tests.evidence.narrative_warehouse import COMPANY

WEEK = Period(date(2026, 11, 9), date(2026, 11, 15), "9–15 November")
AS_OF = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
HOSTILE = "<!channel> <https://evil.example|pay> @here *50%* `rm` {{c:net_sales}}"


def fact(fact_id: str, label: str, unit: Any, value: str | None, base: str | None = None, **more: Any) -> Fact:
    number = None if value is None else Decimal(value)
    more.setdefault("direction", "up_is_good")
    more.setdefault("status", "known" if number is not None else "unknown")
    against = (Comparison.between("week_before", "the week before", number, Decimal(base)),) if base else ()
    return Fact(
        id=fact_id, label=label, unit=unit, value=number, currency="USD" if unit == "money" else None, period=WEEK,
        comparisons=against + more.pop("more_against", ()), tie_out=more.pop("tie_out", "matched"),
        source=Source("metrics.fct_metric_daily"), **more,
    )  # fmt: skip


def day(fact_id: str, label: str, when: date) -> Fact:
    return Fact(id=fact_id, label=label, unit="date", day=when, source=Source("ops.action_items"))


def point(metric: str, label: str, why: str, against: str, **facts: str) -> Row:
    texts = {"subject": f"metric:{metric}:all:all", "label": label, "why": why, "against": against, "division": "sales"}
    return Row(texts, {"figure": metric, **facts}, "attention")


def week(about: str = "Late orders", channel: str = "amazon", incident: str = "Late orders") -> Bundle:
    """The week of 9 November: sales up by half, late orders over their target, one unknown, two actions."""
    target = (Comparison.between("target", "target", Decimal(9), Decimal(0)),)
    down: Any = {"direction": "down_is_good"}
    facts = (
        fact("net_sales", "Net sales", "money", "10500", "7000"),
        fact("orders", "Orders", "count", "84", "70"),
        fact("late_orders", "Late orders", "count", "9", "2", more_against=target, **down),
        fact("refunds", "Refunds", "money", None, unknown_since=datetime(2026, 11, 12, 5, tzinfo=UTC), **down),
        fact("net_sales_driver", "Average order value", "money", "1926.19", change=True, about="average_order_value"),
        fact("channel_1", "Net sales of the channel", "money", "-1400", change=True, about=channel),
        fact("metrics_looked_at", "Metrics judged", "count", "106"),
        fact("concerns_found", "Concerns", "count", "1", **down),
        fact("incidents_open", "Open alerts", "count", "1", **down),
        day("incident_1_since", "Since", date(2026, 11, 12)),
        Fact(id="action_1_number", label="Action", unit="text", text="#12", source=Source("ops.action_items")),
        day("action_1_due", "Due", date(2026, 11, 12)),
        day("action_1_opened", "Open since", date(2026, 11, 3)),
        fact("actions_open", "Open actions", "count", "1"),
        day("part_1_day", "From", date(2026, 11, 9)),
        day("part_2_day", "From", date(2026, 11, 10)),
        fact("part_1_sales", "Net sales", "money", "1450", more_against=(
            Comparison.between("published", "the figure published", Decimal(1450), Decimal(1500)),
        )),
        fact("part_1_concerns", "Concerns", "count", "0"),
        fact("parts_told", "Narratives", "count", "1"),
        fact("parts_expected", "Narratives expected", "count", "2"),
    )  # fmt: skip
    lists = {
        "lead": (Row({}, {"figure": "net_sales"}),),
        "figures": tuple(Row({"division": "sales"}, {"figure": f}) for f in ("net_sales", "late_orders", "refunds")),
        "highlights": (point("orders", "Orders", "change", "week_before"),),
        "concerns": (point("late_orders", "Late orders", "target", "target"),),
        "channels": (Row({"value": channel}, {"change": "channel_1"}),),
        "incidents": (
            Row({"label": incident, "subject": "x", "owner": "Supply Chain", "state": "open", "new": "yes"},
                {"since": "incident_1_since"}, "critical"),
        ),
        "actions": (
            Row({"what": "Bring back to target:", "about": about, "owner": "Supply Chain", "carried": "yes",
                 "cleared": "no"},
                {"number": "action_1_number", "due": "action_1_due", "opened": "action_1_opened"}, "late"),
        ),
        "divisions": (Row({"division": "sales", "against": "week_before"}, {"lead": "net_sales"}, "ok"),),
        "parts": (
            Row({"label": "Monday"}, {"day": "part_1_day", "sales": "part_1_sales", "concerns": "part_1_concerns"},
                "restated"),
            Row({}, {"day": "part_2_day"}, "missing"),
        ),
    }  # fmt: skip
    return Bundle("narrative_weekly", WEEK, AS_OF, COMPANY, facts, lists)


def written(bundle: Bundle) -> Document:
    brief = brief_for(bundle)
    draft = RulesWriter().write(bundle, brief)
    assert check(draft, bundle, brief) == []
    return compose(bundle, draft)


def text_of(bundle: Bundle) -> str:
    return markdown.render(written(bundle)).replace("\\", "")


def test_the_week_in_words() -> None:
    text = text_of(week())
    for line in (
        "# 9–15 November 2026 — week in review",
        "Net sales",
        "$10,500, up 50% on the week before.",
        "Main driver: average order value +$1,926 · by channel: amazon −$1,400",
        "- Late orders: 9, against a target of 0 and 350% above the week before",
        "Not known: Refunds unknown since Thu 12 Nov 00:00",
        "- 🔴 Late orders (since Thu 12 Nov, Supply Chain)",
        "- #12 Bring back to target: Late orders — **Supply Chain**, ⚠ was due Thu 12 Nov",
        ", carried over since Tue 3 Nov",
        "- Orders: 84, ",
        "| Late orders | 9 | +350% | 0 |",
        "- ✓ **Sales** — Net sales $10,500 (+50% vs the week before)",
        "| Mon 9 Nov | $1,450 ⟲ published as $1,500 | 0 |",
        "| Tue 10 Nov | no narrative | – |",
        "built on the narratives of 1 of 2 days · ⟲ changed since it was published",
        "written by rules · made 16 November 2026 · evidence ",
    ):
        assert line in text, line


def test_what_is_the_matter_stands_before_what_went_well_and_actions_before_tables() -> None:
    text = text_of(week())
    order = ("⚠️ Concerns", "🔔 Alerts", "☑️ Actions", "✨ Highlights", "📊 Figures")
    places = [text.index(f"## {name}") for name in order]
    assert places == sorted(places)


def test_a_week_without_a_concern_says_how_much_was_looked_at() -> None:
    bundle = week()
    quiet = replace(bundle, lists={**bundle.lists, "concerns": ()})
    assert "No new concern among 106 metrics." in text_of(quiet)


def test_every_digit_of_the_body_is_a_claim() -> None:
    document = written(week())
    body = tuple(block for block in document.blocks if not isinstance(block, Title | Footer))
    loose = [span.text for span in spans_of(body) if isinstance(span, Words) and any(c.isdigit() for c in span.text)]
    assert loose == []
    assert {claimed.fact for claimed in document.claims} <= {each.id for each in week().facts}


@pytest.mark.parametrize("place", ["about", "channel", "incident"])
def test_a_hostile_name_is_shown_and_does_nothing(place: str) -> None:
    document = written(week(**{place: HOSTILE}))
    shown = json.dumps([message.payload() for message in slack.render(document)], ensure_ascii=False)
    assert "evil.example" in shown  # shown as it is, for whoever looks into it
    assert "<!channel>" not in shown and "<https://evil" not in shown
    assert "<!channel>" not in html.render(document) and "<https" not in html.render(document)
    assert "](https" not in markdown.render(document)
    terminal.render(document, width=80)


def test_a_line_nobody_wrote_is_made_of_its_figure() -> None:
    document = compose(week(), Draft(slots={"lead": "Net sales came to {{c:net_sales}}."}))
    text = markdown.render(document).replace("\\", "")
    assert "- Late orders **9**, target 0" in text and "- Orders **84** (+20% vs the week before)" in text


def test_the_summary_is_enough_to_know_whether_to_open_it() -> None:
    assert plain(written(week()).summary) == "Week in review, 9–15 November: 1 concern, net sales $10,500 (+50%)"


def test_it_replays_byte_for_byte() -> None:
    bundle, draft = week(), RulesWriter().write(week(), brief_for(week()))
    again = compose(Bundle.from_json(bundle.to_json()), Draft.from_json(draft.to_json()))
    assert again.digest == compose(bundle, draft).digest
    assert markdown.render(again) == markdown.render(compose(bundle, draft))


def test_an_unresolved_claim_is_no_document() -> None:
    with pytest.raises(DataFailure):
        compose(week(), Draft(slots={"lead": "{{c:profit.value}}"}))

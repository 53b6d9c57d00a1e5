"""What a question means: by its words, and never more than the names there are."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.evidence.spans import Span
from ops_platform.work_orders.agents import find
from ops_platform.work_orders.agents.asking import Asked, Definition, asked_by
from tests.fleet.job_scene import metrics
from tests.sizes import examples
from tests.work_orders.agents.company import TODAY, YESTERDAY, order

ALL = [Definition(name, said["label"], said["division"]) for name, said in sorted(metrics().items())]
LISTS = find("sales").listings()
SHOWN = find("sales").shown()


def meant(title: str, body: str = "", own: list[str] | None = None) -> Asked:
    return asked_by(order(title, body), TODAY, ALL, [one.id for one in ALL] if own is None else own, LISTS, SHOWN)


@pytest.mark.parametrize(
    ("title", "first"),
    [
        ("Why is the refund rate so high?", "refund_rate"),
        ("Net sales of last week", "net_sales"),
        ("How is the gross margin rate?", "gross_margin_rate"),
        ("late orders", "late_orders"),
        ("What is our average order value?", "average_order_value"),
        ("cash balance please", "cash_balance"),
        ("Win rate of deals", "win_rate"),
        ("Are first response hours worse?", "first_response_hours"),
    ],
)
def test_a_name_that_stands_there_is_meant_first(title: str, first: str) -> None:
    assert meant(title).metrics[0] == first


def test_words_of_every_day_mean_nothing() -> None:
    for title in ("Please help", "URGENT!!!", "Can you do this by today?", "", "What is the value of the number?"):
        assert meant(title).metrics == ()


def test_a_list_is_meant_by_its_name() -> None:
    assert meant("Which deals are closing this week?").lists == ("closing",)
    assert "hot" not in meant("Show the hot leads").lists  # it is shown anyway


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("report for October", Span("monthly", date(2026, 10, 1), date(2026, 10, 31))),
        ("December was bad", Span("monthly", date(2025, 12, 1), date(2025, 12, 31))),
        ("October 2025 against October 2024", Span("monthly", date(2025, 10, 1), date(2025, 10, 31))),
        ("last month please", Span("monthly", date(2026, 10, 1), date(2026, 10, 31))),
        ("what happened yesterday", Span("daily", YESTERDAY, YESTERDAY)),
        ("this week and today", Span("weekly", TODAY - timedelta(days=7), YESTERDAY)),
        ("we may march on", Span("weekly", TODAY - timedelta(days=7), YESTERDAY)),
        ("net sales", Span("weekly", TODAY - timedelta(days=7), YESTERDAY)),
        ("January 2027 plan", Span("weekly", TODAY - timedelta(days=7), YESTERDAY)),
    ],
)
def test_the_days_a_question_speaks_of(text: str, span: Span) -> None:
    assert meant(text).span == span


@settings(max_examples=examples(60), deadline=None)
@given(
    title=st.text(max_size=300) | st.sampled_from([f"{one.label} {one.id}" for one in ALL]),
    body=st.text(max_size=2_000),
    own=st.lists(st.sampled_from([one.id for one in ALL]), max_size=30),
)
def test_whatever_is_asked_only_own_names_come_of_it(title: str, body: str, own: list[str]) -> None:
    found = meant(title, body, own)
    assert found == meant(title, body, own)
    assert set(found.metrics) <= set(own)
    assert len(found.metrics) <= 4
    assert not set(found.outside) & set(own)
    assert set(found.lists) <= set(LISTS) - set(SHOWN)
    assert found.span.start <= found.span.end
    assert found.span.start <= YESTERDAY

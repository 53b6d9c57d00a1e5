"""Bundles: exact round trips, one digest per meaning, and no mutation unnoticed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.evidence.encoding import canonical, decode
from ops_platform.evidence.model import Bundle, Comparison, Fact, Period, Row, Source
from ops_platform.evidence.store import verified
from ops_platform.failures import DataFailure
from tests.evidence.bundles import AS_OF, COMPANY, YESTERDAY, fact, morning, pulse_bundles
from tests.sizes import examples

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
numbers = st.decimals(allow_nan=False, allow_infinity=False)
moments = st.datetimes(
    min_value=datetime(2000, 1, 1),
    max_value=datetime(2100, 1, 1),
    timezones=st.just(UTC),
)


@st.composite
def any_facts(draw: st.DrawFn) -> Fact:
    unit: Any = draw(st.sampled_from(("money", "count", "ratio", "percent", "days", "hours", "score", "text", "date")))
    known = draw(st.booleans())
    numeric = unit not in ("text", "date")
    value = draw(numbers) if known and numeric else None
    return Fact(
        id=draw(st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)),
        label=draw(texts),
        unit=unit,
        value=value,
        text=draw(texts) if known and unit == "text" else None,
        day=draw(st.dates()) if known and unit == "date" else None,
        currency=draw(st.sampled_from(("USD", "GBP"))) if unit == "money" else None,
        period=draw(st.none() | st.just(YESTERDAY)),
        comparisons=tuple(
            Comparison.between(name, draw(texts), value, draw(st.none() | numbers))
            for name in draw(st.lists(st.sampled_from(("plan", "target", "day_before")), unique=True))
        ),
        direction=draw(st.sampled_from(("up_is_good", "down_is_good", "neutral"))),
        status=draw(st.sampled_from(("known", "stale"))) if known else "unknown",
        unknown_since=None if known else draw(st.none() | moments),
        fresh_to=draw(st.none() | moments),
        tie_out=draw(st.sampled_from(("matched", "mismatched", "unknown"))),
        source=Source(draw(texts), draw(texts), ((draw(texts), draw(texts)),), (draw(st.integers(0, 2**40)),)),
        about=draw(st.none() | texts),
        superlative=draw(st.sampled_from((None, "highest", "lowest"))),
        change=draw(st.booleans()),
    )


@given(st.lists(any_facts(), max_size=6, unique_by=lambda item: item.id), st.dictionaries(texts, texts, max_size=3))
def test_any_bundle_round_trips_exactly(facts: list[Fact], row_texts: dict[str, str]) -> None:
    rows = (Row(row_texts, {"it": facts[0].id} if facts else {}, "mark"),)
    bundle = Bundle("pulse", YESTERDAY, AS_OF, COMPANY, tuple(facts), {"list": rows}, ("note",))
    stored = canonical(bundle)
    # Through the text form and a JSON parser that is not ours, as a database would.
    again = Bundle.from_json(json.loads(stored))
    assert again == bundle
    assert again.digest == bundle.digest
    assert canonical(again) == stored
    for mine, theirs in zip(bundle.facts, again.facts, strict=True):
        # Equality of Decimals forgives 1.0 for 1.00; the digest must not.
        assert str(mine.value) == str(theirs.value)


@settings(max_examples=examples(30), deadline=None)
@given(pulse_bundles())
def test_pulse_bundles_round_trip(bundle: Bundle) -> None:
    assert Bundle.from_json(bundle.to_json()) == bundle
    assert verified(canonical(bundle), bundle.digest) == bundle


def _leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(node, dict):
        return [leaf for key, item in node.items() for leaf in _leaves(item, (*path, key))]
    if isinstance(node, list):
        return [leaf for index, item in enumerate(node) for leaf in _leaves(item, (*path, index))]
    return [path]


def _altered(value: Any) -> Any:
    if value is None:
        return "x"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value[:1] == "-":
        return value[1:]
    return "-" + value if value[:1].isdigit() else value + "x"


def test_every_single_alteration_of_a_stored_bundle_is_caught() -> None:
    bundle = morning()
    stored = canonical(bundle).decode()
    leaves = _leaves(json.loads(stored))
    assert len(leaves) > 800
    for path in leaves:
        data = json.loads(stored)
        node = data
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = _altered(node[path[-1]])
        with pytest.raises(DataFailure, match="altered"):
            verified(json.dumps(data), bundle.digest)


def test_added_removed_and_reordered_content_is_caught() -> None:
    bundle = morning()
    data = bundle.to_json()
    for change in (
        lambda d: d["facts"].pop(),
        lambda d: d["facts"].reverse(),
        lambda d: d.update(more=1),
        lambda d: d.pop("notes"),
        lambda d: d["facts"][0].update(extra="x"),
        lambda d: d["lists"].pop("messages"),
    ):
        altered = json.loads(json.dumps(data))
        change(altered)
        with pytest.raises(DataFailure, match="altered"):
            verified(json.dumps(altered), bundle.digest)
    with pytest.raises(DataFailure, match="no longer JSON"):
        verified("{", bundle.digest)


def test_a_decimal_keeps_its_places_and_its_meaning_in_the_digest() -> None:
    one = morning(orders=fact("orders", "Orders", "count", "61.0"))
    two = morning(orders=fact("orders", "Orders", "count", "61.00"))
    assert one.digest != two.digest


def test_key_order_of_mappings_does_not_matter_to_the_digest() -> None:
    bundle = morning()
    shuffled = replace(bundle, lists=dict(reversed(list(bundle.lists.items()))))
    assert shuffled.digest == bundle.digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "Net Sales"}, "lower case"),
        ({"value": None}, "needs exactly a value"),
        ({"text": "x"}, "needs exactly a value"),
        ({"status": "unknown"}, "cannot carry"),
        ({"currency": None}, "without a currency"),
        ({"comparisons": (Comparison("a", "a", None), Comparison("a", "b", None))}, "twice"),
        ({"comparisons": (Comparison("a", "a", Decimal(1), Decimal(3), Decimal(3)),)}, "changed by"),
        ({"comparisons": (Comparison("a", "a", Decimal(1), None, None),)}, "changed by"),
    ],
)
def test_a_fact_that_contradicts_itself_cannot_exist(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataFailure, match=words):
        replace(fact("net_sales", "Net sales", "money", "1"), **change)


def test_a_bundle_refuses_doubles_and_dangling_rows() -> None:
    one = fact("orders", "Orders", "count", "1")
    with pytest.raises(DataFailure, match="twice"):
        Bundle("pulse", YESTERDAY, AS_OF, COMPANY, (one, one))
    with pytest.raises(DataFailure, match="lacks"):
        Bundle("pulse", YESTERDAY, AS_OF, COMPANY, (one,), {"rows": (Row({}, {"lead": "nope"}),)})
    with pytest.raises(DataFailure, match="no fact"):
        morning().fact("nope")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_no_number_cannot_be_stored(value: str) -> None:
    with pytest.raises(DataFailure, match="finite"):
        canonical(fact("orders", "Orders", "count", value, tie_out="unknown"))


def test_naive_moments_nul_and_surrogates_cannot_be_stored() -> None:
    with pytest.raises(DataFailure, match="time zone"):
        canonical(replace(morning(), as_of=datetime(2026, 1, 1)))
    with pytest.raises(DataFailure, match="NUL"):
        canonical(Row({"text": "a\x00b"}))
    with pytest.raises(DataFailure, match="surrogate"):
        canonical(Row({"text": "a\ud800b"}))


def test_a_moment_is_stored_in_utc_whatever_its_zone() -> None:
    from zoneinfo import ZoneInfo

    local = replace(morning(), as_of=AS_OF.astimezone(ZoneInfo("Asia/Shanghai")))
    assert local.digest == morning().digest


@pytest.mark.parametrize(
    ("value", "base", "delta", "share"),
    [
        ("110", "100", "10", "0.1"),
        ("90", "-100", "190", "1.9"),
        ("5", "0", "5", None),
        (None, "5", None, None),
        ("5", None, None, None),
    ],
)
def test_comparison_against_unknown_zero_and_negative_bases(
    value: str | None, base: str | None, delta: str | None, share: str | None
) -> None:
    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    made = Comparison.between("x", "x", number(value), number(base))
    assert (made.value, made.delta, made.delta_pct) == (number(base), number(delta), number(share))


def test_favourable_depends_on_the_direction() -> None:
    sales, late = morning().fact("net_sales"), morning().fact("late_orders")
    assert sales.favourable(Decimal(-1)) is False
    assert late.favourable(Decimal(-1)) is True
    assert sales.favourable(Decimal(0)) is None
    assert replace(sales, direction="neutral").favourable(Decimal(1)) is None


def test_a_period_cannot_end_before_it_starts() -> None:
    with pytest.raises(DataFailure, match="before it starts"):
        Period(date(2026, 1, 2), date(2026, 1, 1), "x")


@pytest.mark.parametrize(
    "data",
    [[], {}, {"kind": 1}, {**morning().to_json(), "as_of": "yesterday"}, {**morning().to_json(), "facts": {}}],
)
def test_json_that_is_no_bundle_is_refused_with_a_typed_failure(data: Any) -> None:
    with pytest.raises(DataFailure):
        decode(Bundle, data)

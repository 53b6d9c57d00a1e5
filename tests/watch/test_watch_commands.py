"""`ops watch` on a published warehouse, through the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ops_platform.cli import cli
from ops_platform.failures import ConfigurationError
from ops_platform.settings import reset_settings
from ops_platform.watch.judgement import Finding, Judgement, Reason, SeriesKey
from ops_platform.watch.series import Persistence, WatchedMetric
from ops_platform.watch.simulate import episodes, page, svg, text_chart, told_as
from tests.watch.warehouse import NOW, TODAY, YESTERDAY, fill, put

if TYPE_CHECKING:
    from tests.conftest import Connect

SALES = SeriesKey("net_sales")
METRIC = WatchedMetric(
    id="net_sales", label="Net sales", unit="money", direction="up_is_good", aggregation="sum", kind="flow",
    minimum_effect=Decimal(500), persistence=Persistence.parse("2 of 3"), currency="USD",
)  # fmt: skip


@pytest.fixture
def home(warehouse: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose settings lead to the filled warehouse, with a bad Thursday in it."""
    with warehouse() as connection:
        fill(connection)
        put(connection, "net_sales", YESTERDAY, 4000)
        connection.commit()
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    monkeypatch.setenv("OPS_HOME", str(tmp_path))
    monkeypatch.setenv("OPS_NOW", NOW.isoformat())
    reset_settings()
    yield tmp_path
    reset_settings()


def test_judge_says_what_is_out_and_keeps_it(home: Path) -> None:
    done = CliRunner().invoke(cli, ["watch", "judge"])
    assert done.exit_code == 0, done.output
    assert f"{YESTERDAY} ✗ net_sales  4,000" in done.output
    assert "3 metrics, 5 series" in done.output
    shown = CliRunner().invoke(cli, ["watch", "show", "net_sales", "--json"])
    newest = json.loads(shown.stdout)[0]
    assert (newest["date"], newest["found"], newest["value"]) == (YESTERDAY.isoformat(), "breached", "4000")


def test_a_dry_run_keeps_nothing(home: Path) -> None:
    done = CliRunner().invoke(cli, ["watch", "judge", "net_sales", "--dry-run", "--json"])
    assert json.loads(done.stdout)["counts"]["breached"] == 1
    shown = CliRunner().invoke(cli, ["watch", "show", "net_sales"])
    assert isinstance(shown.exception, ConfigurationError)


def test_simulate_tells_each_alert_once_and_draws(home: Path) -> None:
    done = CliRunner().invoke(cli, ["watch", "simulate", "net_sales", "--whole", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(one["series"], one["first"], one["last"]) for one in told["alerts"]] == [
        ("net_sales", YESTERDAY.isoformat(), YESTERDAY.isoformat())
    ]
    assert told["alerts"][0]["told"] == "alone"
    assert "<svg" in Path(told["file"]).read_text(encoding="utf-8")
    assert Path(told["file"]) == home / "charts" / "net_sales.html"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["watch", "simulate", "net_salez"], "is no published metric"),
        (["watch", "simulate", "net_sales", "--since", f"{TODAY}"], "is after the newest day"),
        (["watch", "simulate", "net_sales", "--whole", "--output", "chart.png"], "as .html or .svg"),
        (["watch", "judge", "net_salez"], "not all of net_salez are watched"),
    ],
)
def test_what_cannot_be_done_is_said(home: Path, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code != 0
    assert words in f"{done.output} {done.exception}"


def judged(number: int, value: float | None, low: float, high: float, key: SeriesKey, **more: Any) -> Judgement:
    day = YESTERDAY - timedelta(days=30 - number)
    if value is None:
        return Judgement(key, day, Finding.UNKNOWN, NOW, reason=Reason.INCOMPLETE, explanation="not complete")
    found, near = (Finding.CLEAR, Decimal("0.5")) if low <= value <= high else (Finding.BREACHED, Decimal("1.5"))
    return Judgement(
        key, day, found, NOW, value=Decimal(str(value)), expected_low=Decimal(str(low)), expected=Decimal(10),
        expected_high=Decimal(str(high)), effect=Decimal(-5), closeness=more.pop("closeness", near), since=day, **more,
    )  # fmt: skip


def test_one_wide_day_does_not_press_the_drawing_flat() -> None:
    days = [judged(n, 10 + n % 3, 5, 1_000_000 if n == 7 else 20, SALES) for n in range(30)]
    drawn = svg(METRIC, SALES, days)
    assert "1M" not in drawn and "1000k" not in drawn
    ticks = [float(text) for text in re.findall(r'text-anchor="end">(-?[\d.]+)</text>', drawn)]
    assert max(ticks) <= 25 and min(ticks) >= 0
    assert "clip-path" in drawn


def test_what_was_not_judged_and_a_day_alone_can_be_seen() -> None:
    days = [judged(n, 10 if n in (3, 20) else None, 5, 20, SALES) for n in range(30)]
    drawn = svg(METRIC, SALES, days)
    assert drawn.count("not judged: not complete") == 28
    assert drawn.count('r="1.5"') == 2 and "not judged</text>" in drawn
    assert "◌" in text_chart(days)[0]
    for few in ([], [judged(0, None, 0, 0, SALES)], [judged(0, 7, 7, 7, SALES)], [judged(0, 0, 0, 0, SALES)]):
        assert svg(METRIC, SALES, few).endswith("</svg>")


def test_a_part_is_told_as_the_alert_machine_would() -> None:
    amazon, web = SeriesKey("net_sales", "channel", "<amazon>"), SeriesKey("net_sales", "channel", "web")
    found = [judged(3, 1, 5, 20, SALES), judged(3, 1, 5, 20, amazon), judged(20, 1, 5, 20, amazon)]
    found.append(judged(20, 1, 5, 20, web, closeness=Decimal("2.2")))
    told = episodes(found)
    manner = {(one.key, one.first.day): told_as(one, told, alone_from=Decimal(2)) for one in told}
    assert sorted(manner.values()) == ["alone", "alone", "listed only", "with the whole"]
    assert manner[web, found[-1].day.day] == "alone"
    written = page(METRIC, found, alone_from=Decimal(2))
    assert "listed only" in written and "<amazon>" not in written and "&lt;amazon&gt;" in written


def test_before_its_first_day_a_metric_has_nothing_to_replay(home: Path) -> None:
    done = CliRunner().invoke(cli, ["watch", "simulate", "net_sales", "--whole", "--json", "--since", "2001-01-01"])
    assert done.exit_code == 0 and json.loads(done.stdout)["since"] > "2020"

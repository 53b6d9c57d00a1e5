"""`ops watch` on a published warehouse, through the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ops_platform.cli import cli
from ops_platform.failures import ConfigurationError
from ops_platform.settings import reset_settings
from tests.watch.warehouse import NOW, TODAY, YESTERDAY, fill, put

if TYPE_CHECKING:
    from tests.conftest import Connect


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

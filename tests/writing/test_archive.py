"""Documents of the past: found, made again byte for byte, and every change of what is stored is seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings

from ops_platform.cli import cli
from ops_platform.documents import kinds
from ops_platform.evidence.model import Bundle
from ops_platform.failures import DataFailure
from ops_platform.writing import archive
from ops_platform.writing.draft import Draft
from tests.approvals.stored import stored
from tests.evidence.bundles import morning, pulse_bundles
from tests.sizes import examples


def replayed(connect: Any, number: int) -> archive.Replayed:
    with connect() as connection:
        return archive.replay(archive.load(connection, number))


def alter(connect: Any, statement: str) -> None:
    with connect() as connection:
        connection.execute(statement.encode())


def test_a_document_is_the_same_byte_for_byte(warehouse: Any) -> None:
    again = replayed(warehouse, stored(warehouse))
    assert again.same and again.document is not None
    with warehouse() as connection:
        (kept,) = connection.execute("select document from ops.documents").fetchone()
    assert again.document.to_json() == kept


@given(bundle=pulse_bundles())
@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_morning_is(warehouse: Any, bundle: Bundle) -> None:
    assert replayed(warehouse, stored(warehouse, bundle)).problems == ()


def test_found_by_number_by_job_and_by_day(warehouse: Any) -> None:
    number = stored(warehouse)
    with warehouse() as connection:
        for name in (str(number), f"#{number}", "ops_pulse", "ops_pulse:2026-11-19", "ops_pulse@2026-11-19"):
            assert archive.find(connection, name) == number
        for name in ("ops_pulse:2026-11-20", "board_pack", "ops_pulse:2026-13-45", "Ops pulse!"):
            with pytest.raises(DataFailure):
                archive.find(connection, name)
        with pytest.raises(DataFailure, match="no document #99"):
            archive.load(connection, 99)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "update ops.documents set document = replace(document::text, '11,235', '11,236')::jsonb",
            "it was stored under",
        ),
        ("update ops.documents set digest = repeat('0', 64)", "it was stored under"),
        (
            "update ops.documents set model_output = jsonb_set(model_output, '{draft,slots,headline}',"
            " '\"Net sales {{c:net_sales}}.\"')",
            "laid out differently now: blocks[1]",
        ),
        (
            "update ops.documents set model_output = jsonb_set(model_output, '{draft,slots,headline}',"
            " '\"Net sales {{c:gone}}.\"')",
            "cannot be composed again",
        ),
        (
            "update ops.documents set model_output = jsonb_set(model_output, '{draft,writer}', '\"claude\"')",
            "the model's answer was not recorded",
        ),
    ],
)
def test_what_was_altered_is_seen(warehouse: Any, statement: str, said: str) -> None:
    number = stored(warehouse)
    alter(warehouse, statement)
    again = replayed(warehouse, number)
    assert not again.same and any(said in problem for problem in again.problems), again.problems


def test_an_altered_bundle_is_not_replayed(warehouse: Any) -> None:
    number = stored(warehouse)
    alter(warehouse, "update ops.evidence_bundles set payload = replace(payload::text, '11234', '11235')::jsonb")
    with pytest.raises(DataFailure, match="was altered"):
        replayed(warehouse, number)


def recorded(text: dict[str, str]) -> dict[str, Any]:
    call = {
        "slots": list(text), "model": "claude-haiku-5-5", "text": json.dumps(text), "stopped": "end_turn",
        "usage": None, "request_id": None, "ledger_id": 1, "problem": None,
    }  # fmt: skip
    return {"calls": [call], "note": "written by Claude"}


def test_a_models_document_is_made_of_its_recorded_answer(warehouse: Any) -> None:
    answer = {"headline": "Net sales were {{c:net_sales}}."}
    draft = Draft(slots=answer, writer="claude", model="claude-haiku-5-5", tokens=0)
    assert replayed(warehouse, stored(warehouse, draft=draft, model_output=recorded(answer))).same
    alter(warehouse, "update ops.documents set model_output = replace(model_output::text, 'were', 'stood at')::jsonb")
    assert any("laid out differently" in problem for problem in replayed(warehouse, 1).problems)


def test_a_draft_that_the_model_did_not_write_is_seen(warehouse: Any) -> None:
    draft = Draft(slots={"headline": "Net sales were {{c:net_sales}}."}, writer="claude", model="m", tokens=0)
    number = stored(warehouse, draft=draft, model_output=recorded({"headline": "Orders were {{c:orders}}."}))
    (problem,) = replayed(warehouse, number).problems
    assert "do not give the draft" in problem


def test_an_alert_replays_without_a_draft(warehouse: Any) -> None:
    from ops_platform.alerts.composing import AlertComposer
    from ops_platform.alerts.cycle import handle
    from ops_platform.fleet.profile import company_profile
    from tests.alerts.scenes import CHANNELS, MORNING
    from tests.alerts.shop import COMPANY, sales

    with warehouse() as connection:
        composer = AlertComposer(company_profile(COMPANY))
        handle(connection, [sales()], MORNING, fleet=COMPANY, compose=composer, channels=CHANNELS.__getitem__)
    with warehouse() as connection:
        (number,) = connection.execute("select id from ops.documents where kind = 'alert'").fetchone()
        assert archive.replay(archive.load(connection, number)).problems == ()


def test_a_kind_without_a_layout_is_said(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    number = stored(warehouse)
    monkeypatch.setattr(kinds, "COMPOSERS", {})
    assert "There is no layout" in replayed(warehouse, number).problems[0]


def test_differences_are_told_where_they_are() -> None:
    found = list(archive.differences({"a": [1, {"b": "x"}], "c": 1}, {"a": [1, {"b": "y"}, 3], "d": None}))
    assert found == ["a[1].b: 'x' → 'y'", "a[2]: nothing → 3", "c: 1 → nothing"]


def test_at_a_terminal(warehouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    first = stored(warehouse)
    second = stored(warehouse, replace(morning(), notes=("another",)))

    def ops(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["replay", *arguments])

    one = ops("ops_pulse", "--output", str(tmp_path))
    assert one.exit_code == 0 and f"document #{second} ops_pulse" in one.output
    assert "the same, byte for byte" in one.output
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".html", ".md"]
    alter(warehouse, f"update ops.documents set digest = repeat('0', 64) where id = {first}")
    every = ops("--all")
    assert every.exit_code == 1 and "1 of 2 documents are the same" in every.output
    answer = json.loads(ops(str(second), "--json").output)
    assert (answer["same"], answer["message"], answer["job"]) == (True, "none", "ops_pulse")
    assert ops().exit_code == 2
    assert isinstance(ops("77").exception, DataFailure)

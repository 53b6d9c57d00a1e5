"""What models cost is told from the ledger: per job, per delivered output, and what came to nothing."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.commands import costs as command
from ops_platform.fleet.models import ModelPrice
from ops_platform.writing.budget import Allowance, TokenBudget, Usage
from ops_platform.writing.costs import costs

if TYPE_CHECKING:
    from tests.conftest import Connect

HAIKU, OPUS = "claude-haiku-5-5", "claude-opus-5-5"
PRICES = {
    HAIKU: ModelPrice(input=Decimal(1), output=Decimal(5), cache_read=Decimal("0.1"), cache_write=Decimal("1.25")),
    OPUS: ModelPrice(input=Decimal(5), output=Decimal(25), cache_read=Decimal("0.5"), cache_write=Decimal("6.25")),
}
BOTS = {"coordinator": 20_000, "sales": 20_000}
LONG_AGO, SOON = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def budget(warehouse: Connect) -> TokenBudget:
    return TokenBudget(warehouse, fleet_limit=1_000_000, bot_limits=dict.fromkeys(BOTS, 1_000_000), prices=PRICES)


def call(budget: TokenBudget, job: str, usage: Usage, *, bot: str = "coordinator", large: bool = False) -> int:
    """A settled call of `job`; its number in the ledger."""
    task: Any = "synthesise" if large else "write"
    allowance = Allowance(bot=bot, cycle="c", purpose=job, tier="large" if large else "small", task=task)
    reservation = budget.reserve(allowance, model=OPUS if large else HAIKU, tokens=100)
    budget.spend(reservation, usage)
    return reservation.id


def document(warehouse: Connect, job: str, day: date, *, writer: str = "claude", sent: bool = True) -> int:
    """A stored document, and where `sent` its message in the channel."""
    with warehouse() as connection:
        connection.execute(
            "insert into ops.evidence_bundles (digest, kind, period_start, period_end, as_of, payload)"
            " values ('d', 'pulse', '2026-11-19', '2026-11-19', now(), '{}') on conflict do nothing"
        )
        row = connection.execute(
            "insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, document, digest)"
            " values (%s, %s, %s, 'd', %s, '{}', gen_random_uuid()::text) returning id",
            (job, day, day, writer),
        ).fetchone()
        assert row is not None
        # The costs are read of what was sent, however it came there: without the approval a pack needs.
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            "insert into ops.outbox (id, dedupe_key, kind, period_start, period_end, channel_key, channel, payload,"
            " payload_hash, document_id, state, created_at, updated_at)"
            " values (gen_random_uuid(), gen_random_uuid()::text, %s, %s, %s, 'executive', 'C', '{}', 'h', %s, %s,"
            " now(), now())",
            (job, day, day, row[0], "sent" if sent else "pending"),
        )
        connection.commit()
    return int(row[0])


@pytest.fixture
def month(budget: TokenBudget, warehouse: Connect) -> Connect:
    """Two pulses delivered (one with a repair), one that rules wrote after all, one call of which nothing came, one
    narrative without a message, a pack by the large model, partly cached, and one call nobody knows the cost of."""
    first, second, third = (date(2026, 11, day) for day in (17, 18, 19))
    thousand = Usage(input_tokens=1_000, output_tokens=100)  # $0.0015 small
    mended = [call(budget, "ops_pulse", thousand), call(budget, "ops_pulse", Usage(400, 20, 900, 0))]  # + $0.00059
    budget.attach(mended, document(warehouse, "ops_pulse", first))
    budget.attach([call(budget, "ops_pulse", thousand)], document(warehouse, "ops_pulse", second))
    budget.attach([call(budget, "ops_pulse", thousand)], document(warehouse, "ops_pulse", third, writer="rules"))
    call(budget, "ops_pulse", thousand)
    kept = document(warehouse, "narrative_daily", first, sent=False)
    budget.attach([call(budget, "narrative_daily", Usage(2_000, 100))], kept)  # $0.0025
    pack = document(warehouse, "board_pack", first)
    budget.attach([call(budget, "board_pack", Usage(2_000, 400, 0, 1_600), large=True)], pack)  # $0.03
    allowance = Allowance(bot="sales", cycle="c", purpose="b2b_pipeline", tier="small", task="extract")
    budget.leave(budget.reserve(allowance, model=HAIKU, tokens=10), outcome="failed: no answer")
    return warehouse


def test_what_a_month_cost_and_what_was_had_for_it(month: Connect) -> None:
    with month() as connection:
        found = costs(connection, LONG_AGO, SOON, top=(OPUS, PRICES[OPUS]))
    jobs = {line.name: line for line in found.by_job}
    assert list(jobs) == ["board_pack", "ops_pulse", "narrative_daily", "b2b_pipeline"]  # the dearest first
    pulse = jobs["ops_pulse"]
    # Four whole calls at $0.0015 and a repair: 400×1 + 20×5 + 900×0.1 = 590 dollars per million.
    assert (pulse.calls, pulse.cost_usd, pulse.delivered) == (5, Decimal("0.00659"), 2)
    assert pulse.per_output == Decimal("0.003295")
    assert pulse.zero_output_usd == Decimal("0.003")  # the one that rules wrote, and the one without a document
    # 2,000×5 + 400×25 + 1,600×6.25
    assert (jobs["board_pack"].cost_usd, jobs["board_pack"].cache_write_tokens) == (Decimal("0.03"), 1_600)
    assert jobs["narrative_daily"].per_output is None
    assert jobs["b2b_pipeline"].unsettled == found.total.unsettled == 1
    assert (found.total.cost_usd, found.total.delivered) == (Decimal("0.03909"), 3)
    assert {line.name: line.cost_usd for line in found.zero_output} == {
        "not_delivered": Decimal("0.0025"), "rules": Decimal("0.0015"), "no_document": Decimal("0.0015"),
    }  # fmt: skip
    assert {line.name: line.calls for line in found.by_purpose} == {"synthesise": 1, "write": 6, "extract": 1}
    assert {line.name: line.calls for line in found.by_bot} == {"coordinator": 7, "sales": 1}
    for lines in (found.by_job, found.by_bot, found.by_purpose, found.by_model):
        assert sum(line.cost_usd for line in lines) == found.total.cost_usd
        assert sum(line.calls for line in lines) == found.total.calls
    # In: 4×1,000 + 1,300 + 2,000 + 3,600 at 5; out: 400 + 20 + 100 + 400 at 25.
    assert found.one_model_usd == Decimal("0.0775")
    assert found.saved is not None and round(found.saved, 4) == Decimal("0.4956")


def test_a_forgotten_document_keeps_its_cost_and_its_delivery(month: Connect) -> None:
    with month() as connection:
        before = costs(connection, LONG_AGO, SOON, top=(OPUS, PRICES[OPUS]))
        for table in ("token_ledger", "outbox"):
            connection.execute(f"update ops.{table} set document_id = null".encode())
        connection.execute("delete from ops.documents")
        assert costs(connection, LONG_AGO, SOON, top=(OPUS, PRICES[OPUS])) == before


def test_only_what_is_within_the_time_counts(month: Connect) -> None:
    with month() as connection:
        found = costs(connection, SOON, SOON + timedelta(days=1), top=(OPUS, PRICES[OPUS]))
    assert (found.total.calls, found.total.cost_usd, found.by_job, found.saved) == (0, 0, (), None)


def test_a_month_is_the_companys() -> None:
    first, start, end = command.month_bounds(date(2026, 11, 20), "America/New_York")
    assert (first, start.isoformat(), end.isoformat()) == (
        date(2026, 11, 1), "2026-11-01T00:00:00-04:00", "2026-12-01T00:00:00-05:00",
    )  # fmt: skip


@pytest.fixture
def shown(month: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: month())


@pytest.mark.usefixtures("shown")
def test_the_command_says_it_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.show(month=None, as_json=False) == 0
    said = capsys.readouterr().out
    assert "$0.0391, 8 calls" in said
    assert "per delivered output: $0.0130 (3 delivered)" in said
    assert "all of it on claude-opus-5-5, without cache or batch: $0.0775; saved 49.6%" in said
    assert "1 call without a count" in said
    assert "spent without a delivered output: $0.0055 (14.1%)" in said
    assert "$0.0015  the answer was not used: rules wrote it (1 call)" in said


@pytest.mark.usefixtures("shown")
def test_the_command_says_it_to_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.show(month=None, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["total"]["cost_usd"] == "0.039090"
    assert said["one_model"] == {"model": OPUS, "cost_usd": "0.077500", "saved_share": "0.4956"}
    assert [line["name"] for line in said["by_job"]][:2] == ["board_pack", "ops_pulse"]


@pytest.mark.usefixtures("shown")
def test_a_month_without_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.show(month=date(2020, 2, 1), as_json=False) == 0
    assert capsys.readouterr().out == "February 2020: no model was called\n"

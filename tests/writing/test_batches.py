"""Texts that can wait: half the price, in time all the same, and found again by who comes after a dead process."""

from __future__ import annotations

import os
import signal
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.fleet import load_fleet
from ops_platform.settings import Settings
from ops_platform.writing.batches import Batches, digest_of
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.budget import Allowance, TokenBudget
from ops_platform.writing.claims import check
from ops_platform.writing.claude import ClaudeWriter
from ops_platform.writing.compose import Written, write
from ops_platform.writing.model import ModelRequest
from ops_platform.writing.rules import RulesWriter
from resources.claude import AnthropicModel
from tests.database.fresh_database import dsn_of
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.documents.test_narrative_document import week
from tests.evidence.bundles import morning
from tests.killed import ended, points_in, preload, start
from tests.platform.test_fleet import FILE
from tests.writing.test_claude import HAIKU, PRICE, ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).resolve().parents[2] / "ops_platform" / "writing"
POINTS = ["batches.noted", "batches.submitted", "batches.kept", "batches.answered"]
preload("psycopg", "anthropic", "ops_platform.writing.claude", "ops_platform.writing.rules", "resources.claude")


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(vendor: Sandbox) -> Iterator[Sandbox]:
    yield vendor
    vendor.calm()


def compose(url: str, connect: Any, wait_seconds: float = 5) -> Written:
    """A pulse that may wait so long."""
    budget = TokenBudget(connect, bot_limits={"coordinator": 20_000}, prices={HAIKU: PRICE})
    model = AnthropicModel.from_settings(Settings(anthropic_api_key="sk-ant-sandbox", anthropic_base_url=url))
    batches = Batches(
        model, connect, budget, wait_seconds=wait_seconds, poll_seconds=0.05, grace_seconds=0.3, least_seconds=0.5
    )
    allowance = Allowance(bot="coordinator", cycle="2026-11-20", purpose="narrative_weekly", tier="small")
    claude = ClaudeWriter(model, budget, allowance, model_id=HAIKU, backoff=0.05, batches=batches)
    written = write(morning(), brief_for(morning()), rules=RulesWriter(), claude=claude)
    assert check(written.draft, morning(), brief_for(morning())) == []
    return written


def states(connect: Any) -> list[str]:
    with connect() as connection:
        return [state for (state,) in connection.execute("select state from ops.model_batches order by id").fetchall()]


def handed_in(sandbox: Sandbox, since: int = 0) -> int:
    """Batches the vendor's side has taken."""
    entries = sandbox.control("GET", "ledger?vendor=anthropic&kind=batch_taken")
    return len(entries) - since


def test_a_text_that_waits_costs_half(sandbox: Sandbox, warehouse: Any) -> None:
    sandbox.fault("anthropic", "slow_batch", "/v1/messages/batches/", times=3)  # three askings, and not yet ended
    written = compose(sandbox.url, warehouse)
    assert written.writer_name == "claude", written.note
    (row,) = ledger(warehouse)
    assert (row["state"], row["batch"], row["document_id"]) == ("spent", True, None)
    assert (row["cache_write_tokens"], row["cache_read_tokens"]) == (0, 0)  # nothing is kept that nobody reads again
    listed = (row["input_tokens"] * PRICE.input + row["output_tokens"] * PRICE.output) / 1_000_000
    assert row["cost_usd"] == listed / 2
    assert states(warehouse) == ["collected"]


def test_what_does_not_end_in_time_is_called_off_and_made_at_once(sandbox: Sandbox, warehouse: Any) -> None:
    sandbox.fault("anthropic", "slow_batch", "/v1/messages/batches/", times=10_000)
    began = time.monotonic()
    written = compose(sandbox.url, warehouse, wait_seconds=1)
    assert time.monotonic() - began < 20
    assert written.writer_name == "claude", written.note
    waited, made = ledger(warehouse)
    assert (waited["state"], waited["outcome"], waited["cost_usd"]) == (
        "released", "batch: Claude's batch ended: canceled", Decimal(0),
    )  # fmt: skip
    assert (made["state"], made["batch"]) == ("spent", False)
    assert states(warehouse) == ["failed"]


@pytest.mark.parametrize("fault", ["errored_batch", "expired_batch"])
def test_a_batch_that_comes_to_nothing_costs_nothing(fault: str, sandbox: Sandbox, warehouse: Any) -> None:
    sandbox.fault("anthropic", fault, "/v1/messages/batches/", times=1)
    assert compose(sandbox.url, warehouse).writer_name == "claude"
    assert [(row["state"], row["batch"]) for row in ledger(warehouse)] == [("released", False), ("spent", False)]


@pytest.mark.parametrize(
    ("fault", "state", "kept"),
    [("http_500", "failed", "released"), ("http_429", "failed", "released"), ("reset", "lost", "reserved"),
     ("accept_then_drop", "lost", "reserved")],
)  # fmt: skip
def test_a_batch_that_is_not_taken(fault: str, state: str, kept: str, sandbox: Sandbox, warehouse: Any) -> None:
    """Refused: nothing was spent. Unclear: what was reserved goes on counting, for it may have been taken."""
    sandbox.fault("anthropic", fault, "/v1/messages/batches", times=1)
    assert compose(sandbox.url, warehouse).writer_name == "claude"
    assert states(warehouse) == [state]
    assert [row["state"] for row in ledger(warehouse)] == [kept, "spent"]


def test_an_outage_while_it_waits_is_waited_out(sandbox: Sandbox, warehouse: Any) -> None:
    sandbox.fault("anthropic", "http_500", "/v1/messages/batches/msgbatch", times=3)
    assert compose(sandbox.url, warehouse).writer_name == "claude"
    assert states(warehouse) == ["collected"]


def test_a_draft_that_is_refused_waits_again_for_its_repair(sandbox: Sandbox, warehouse: Any) -> None:
    sandbox.fault("anthropic", "mode", "/v1/messages", times=1, mode="sloppy")
    written = compose(sandbox.url, warehouse)
    assert (written.writer_name, written.attempts) == ("claude", 2), written.note
    assert [row["batch"] for row in ledger(warehouse)] == [True, True]


def test_too_little_time_is_no_batch(sandbox: Sandbox, warehouse: Any) -> None:
    assert compose(sandbox.url, warehouse, wait_seconds=0.1).writer_name == "claude"
    assert states(warehouse) == []


def test_a_job_that_may_wait_hands_its_text_in_and_the_pulse_does_not(sandbox: Sandbox, warehouse: Any) -> None:
    """By the very step that a job's report goes through, with the entries of `fleet.yaml`."""
    from assets.document_steps import write as written_for

    settings = Settings(anthropic_api_key="sk-ant-sandbox", anthropic_base_url=sandbox.url)
    fleet = load_fleet(FILE, settings)
    budget = TokenBudget.of(fleet, warehouse)
    week_written = written_for(week(), settings, fleet, "narrative_weekly", budget)
    pulse_written = written_for(morning(), settings, fleet, "ops_pulse", budget)
    assert (week_written.writer_name, pulse_written.writer_name) == ("claude", "claude")
    rows = [(row["purpose"], row["model"], row["batch"]) for row in ledger(warehouse)]
    assert rows == [("narrative_weekly", "claude-opus-5-5", True), ("ops_pulse", HAIKU, False)]


# Killed ----------------------------------------------------------------------------------------------------------


def life(url: str, dsn: str, point: str) -> None:
    import psycopg

    if point:
        os.environ["OPS_FAILPOINT"] = point
    compose(url, lambda: psycopg.connect(dsn, options="-c timezone=UTC"))


@pytest.mark.parametrize(
    ("point", "batches", "ends"),
    [
        ("batches.noted", 1, ["lost", "collected"]),  # nobody knows that it was never handed in
        ("batches.submitted", 2, ["lost", "collected"]),  # handed in, and its id was lost with the process
        ("batches.kept", 1, ["collected"]),
        ("batches.answered", 1, ["collected"]),
    ],
)
def test_killed_anywhere_the_next_process_finds_what_can_be_found(
    point: str, batches: int, ends: list[str], sandbox: Sandbox, warehouse: Any
) -> None:
    before = handed_in(sandbox)
    assert ended(start(life, sandbox.url, dsn_of(warehouse), point)) == -signal.SIGKILL
    assert ended(start(life, sandbox.url, dsn_of(warehouse), "")) == 0
    assert handed_in(sandbox, before) == batches
    assert states(warehouse) == ends
    settled = [row for row in ledger(warehouse) if row["state"] == "spent"]
    assert len(settled) == 1 and settled[0]["batch"]  # accounted for once


def test_every_point_is_killed_at() -> None:
    files = (SOURCE / name for name in ("batches.py", "claude.py"))
    assert points_in(files) == set(POINTS)


def test_the_same_request_has_the_same_name_and_another_has_another() -> None:
    one = ModelRequest("m", "s", "u", {"a": 1}, 10)
    assert digest_of(one) == digest_of(ModelRequest("m", "s", "u", {"a": 1}, 10, keep=False))
    others = [ModelRequest("m", "s", "v", {"a": 1}, 10), ModelRequest("n", "s", "u", {"a": 1}, 10)]
    assert len({digest_of(each) for each in (one, *others)}) == 3

"""Agents with the sandbox's Claude: an honest one adds to what is looked at; whatever else it does costs no answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from ops_platform.settings import Settings
from ops_platform.work_orders.agents import Answer, answer, find
from ops_platform.writing.archive import load, replay
from resources.claude import AnthropicModel
from tests.conftest import Connect
from tests.delivery.sandboxed import Sandbox
from tests.work_orders.agents.company import moment, order

Desk = psycopg.Connection[Any]


@pytest.fixture
def sandbox(agents_sandbox: Sandbox, agents_company: Connect) -> Iterator[Sandbox]:
    with agents_company() as connection:
        connection.execute("delete from ops.token_ledger")
        connection.commit()
    yield agents_sandbox
    agents_sandbox.calm()


def asked(sandbox: Sandbox, connect: Connect, name: str, title: str, body: str = "", *, keep: bool = False) -> Answer:
    model = AnthropicModel.from_settings(Settings(anthropic_api_key="sk-ant-sandbox", anthropic_base_url=sandbox.url))
    with connect() as desk:
        made = answer(order(title, body), find(name), desk, model, as_of=moment(), keep=keep, ledger=connect)
        if keep:
            desk.commit()
        else:
            desk.rollback()
    return made


def ledger(connect: Connect) -> list[tuple[Any, ...]]:
    with connect() as desk:
        return desk.execute(
            "select state, outcome, reserved_tokens,"
            " input_tokens + output_tokens + cache_read_tokens + cache_write_tokens,"
            " purpose, document_id from ops.token_ledger order by id"
        ).fetchall()


def spent(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [entry["detail"] for entry in sandbox.control("GET", "ledger?vendor=anthropic&kind=tokens_spent")]


def test_an_honest_model_looks_writes_and_every_token_is_accounted_for(
    sandbox: Sandbox, agents_company: Connect
) -> None:
    before = len(spent(sandbox))
    made = asked(sandbox, agents_company, "finance", "How is opex, and our receivables?", keep=True)
    assert made.note.startswith("written by Claude")
    assert made.used
    assert made.complete
    theirs = sum(
        each[name] for each in spent(sandbox)[before:]
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )  # fmt: skip
    rows = ledger(agents_company)
    assert made.tokens == theirs == sum(row[3] for row in rows)
    assert made.cost > 0
    assert all(row[0] == "spent" and row[3] <= row[2] for row in rows)
    assert {row[4] for row in rows} == {"agent:finance"}
    assert {row[5] for row in rows} == {made.document_id}
    assert made.document_id is not None
    with agents_company() as desk:
        archived = load(desk, made.document_id)
    assert replay(archived).same


def test_a_hostile_model_gets_nothing_but_refusals(sandbox: Sandbox, agents_company: Connect) -> None:
    sandbox.fault("anthropic", "mode", "/v1/messages", times=30, mode="hostile")
    for name in ("developer", "finance", "architect"):
        made = asked(sandbox, agents_company, name, "Anything about the outbox and opex")
        assert "written by rules" in made.note
        for effect in made.effects:
            assert ".github" not in str(effect.payload)
            assert ".." not in str(effect.payload.get("path", ""))
            if effect.kind != "file":
                assert "evil.example" not in str(effect.payload)
            elif not find(name).needs_manager:  # its files are pushed without a person's yes: notes for people only
                assert str(effect.payload["path"]).startswith("docs/proposals/")
        assert "evil.example" not in made.text
        assert len(made.used) <= 1  # at most the one file that may be proposed, by whoever


def test_what_a_hostile_file_says_is_cleaned_before_it_is_staged(sandbox: Sandbox, agents_company: Connect) -> None:
    from ops_platform.work_orders import sanitising

    sandbox.fault("anthropic", "mode", "/v1/messages", times=30, mode="hostile")
    made = asked(sandbox, agents_company, "architect", "Where does the outbox live?")
    for effect in made.effects:
        if effect.kind == "pull_request":
            cleaned = sanitising.markdown(effect.payload["body"], links=()).text
            assert "](https://" not in cleaned
            assert "@everyone" not in cleaned


def test_a_model_that_never_ends_has_its_turns(sandbox: Sandbox, agents_company: Connect) -> None:
    sandbox.fault("anthropic", "mode", "/v1/messages", times=30, mode="hostile")
    asked(sandbox, agents_company, "finance", "opex")
    choosing = [row for row in ledger(agents_company) if row[1] == "ok"]
    assert 1 <= len(choosing) <= find("finance").turns + 2


@pytest.mark.parametrize("mode", ["refusal", "empty", "truncated", "prose", "liar"])
def test_a_model_that_misbehaves_costs_no_answer(mode: str, sandbox: Sandbox, agents_company: Connect) -> None:
    sandbox.fault("anthropic", "mode", "/v1/messages", times=30, mode=mode)
    made = asked(sandbox, agents_company, "support", "Refund rate?")
    assert "Refund rate" in made.text
    assert made.complete, made.reason


def test_an_outage_costs_no_answer(sandbox: Sandbox, agents_company: Connect) -> None:
    sandbox.fault("anthropic", "http_529", "/v1/messages", times=30, should_retry=False)
    made = asked(sandbox, agents_company, "sales", "Net sales?")
    assert "written by rules" in made.note
    assert made.complete


def test_agents_leave_the_scheduled_documents_their_tokens(sandbox: Sandbox, agents_company: Connect) -> None:
    with agents_company() as connection:
        connection.execute(
            "insert into ops.token_ledger (bot, cycle, purpose, model, tier, task, state, reserved_tokens, created_at)"
            " values ('coordinator', '2026-11-20', 'agent:analytics', 'claude-haiku-5-5', 'small', 'write', 'reserved',"
            " 10000, now())"
        )
        connection.commit()
    before = len(spent(sandbox))
    made = asked(sandbox, agents_company, "finance", "opex")
    assert "the agents' tokens of the day are taken" in made.note
    assert len(spent(sandbox)) == before


def test_an_agent_without_tokens_asks_no_model(sandbox: Sandbox, agents_company: Connect) -> None:
    before = len(spent(sandbox))
    made = asked(sandbox, agents_company, "security", "What was refused?")
    assert "has no tokens" in made.note
    assert len(spent(sandbox)) == before

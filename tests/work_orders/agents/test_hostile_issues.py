"""Hostile issues given to agents whole: title, body, labels, repository. What an agent hands over is read as GitHub
reads it. Where a model is asked, it is hostile, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from ops_platform.settings import Settings
from ops_platform.work_orders import sanitising
from ops_platform.work_orders.agents import Answer, answer, find, roster
from ops_platform.work_orders.limits import path_refused
from resources.claude import AnthropicModel
from tests.conftest import Connect
from tests.delivery.sandboxed import Sandbox
from tests.work_orders.agents.company import NAMES, moment, order
from tests.work_orders.hostile_texts import CANARIES, some
from tests.work_orders.read_as_github import read

Desk = psycopg.Connection[Any]


def harmless(made: Answer, name: str) -> None:
    """Nothing of the issue does anything in what was made of it."""
    assert read(sanitising.markdown(made.text, links=()).text).harm() == {}
    agent = find(name)
    assert {each.kind for each in made.effects} <= set(agent.effects.kinds)
    assert len(made.text) <= agent.output.most_characters
    for each in made.effects:
        assert "merge" not in each.kind
        if each.kind == "branch":
            assert each.payload["branch"] == f"work/7-{agent.name}"
        if each.kind == "file":
            assert ".." not in each.payload["path"]
            assert ".github" not in each.payload["path"]
        if each.kind == "pull_request":
            assert read(sanitising.markdown(each.payload["body"], links=()).text).harm() == {}


def given(text: str, name: str, desk: Desk, model: Any = None, ledger: Connect | None = None) -> Answer:
    # A third of the payloads arrives as a title, the rest in every field at once.
    made = answer(
        order(text[:300], f"{text}\n- {text[:200]}\n" * 2, labels=(text[:50],), repository=text[:60] or "o/r"),
        find(name), desk, model, as_of=moment(), keep=False, ledger=ledger,
    )  # fmt: skip
    desk.rollback()
    return made


def all_of(texts: list[str], desk: Desk) -> None:
    for place, text in enumerate(texts):
        name = NAMES[place % len(NAMES)]
        harmless(given(text, name, desk), name)


def test_hostile_issues_are_answered_and_do_nothing(desk: Desk) -> None:
    all_of(some(14), desk)


@pytest.mark.slow
def test_three_hundred_hostile_issues(desk: Desk) -> None:
    all_of(some(300), desk)


@pytest.fixture
def hostile_model(agents_sandbox: Sandbox) -> Iterator[Sandbox]:
    agents_sandbox.fault("anthropic", "mode", "/v1/messages", times=100_000, mode="hostile")
    yield agents_sandbox
    agents_sandbox.calm()


def with_the_model(texts: list[str], sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_SECRET_OF_THE_PROCESS", CANARIES[0])
    model = AnthropicModel.from_settings(Settings(anthropic_api_key="sk-ant-sandbox", anthropic_base_url=sandbox.url))
    talkers = [name for name, agent in roster().items() if agent.tokens]
    for place, text in enumerate(texts):
        name = talkers[place % len(talkers)]
        with connect() as desk:
            desk.execute("delete from ops.token_ledger")
            desk.commit()
            made = given(text, name, desk, model, connect)
            harmless(made, name)
            assert not (set(made.used) - {"propose_files"}), made.used  # nothing else it asked for was carried out
            assert all(canary not in made.text for canary in CANARIES if canary not in text)
            _staged(made, name)


def _staged(made: Answer, name: str) -> None:
    """What it proposes lies where the role file lets it, and a file is what its name says."""
    allowed = find(name).effects
    for each in made.effects:
        if each.kind == "file":
            assert path_refused(each.payload["path"], allowed) is None


def test_a_hostile_model_over_hostile_issues(
    hostile_model: Sandbox, agents_company: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_the_model(some(4), hostile_model, agents_company, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_hostile_model_over_three_hundred_issues(
    hostile_model: Sandbox, agents_company: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_the_model(some(300), hostile_model, agents_company, monkeypatch)

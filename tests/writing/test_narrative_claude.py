"""A week written by the sandbox's Claude, however it behaves: it is published, and every number is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ops_platform.documents.kinds import compose as lay_out
from ops_platform.documents.model import Footer, Title, Words, spans_of
from ops_platform.settings import Settings
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.budget import Allowance, TokenBudget
from ops_platform.writing.claims import check
from ops_platform.writing.claude import ClaudeWriter, replay
from ops_platform.writing.compose import Written, write
from ops_platform.writing.rules import RulesWriter
from resources.claude import AnthropicModel
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.documents.test_narrative_document import week
from tests.writing.test_claude import HAIKU, PRICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Connect

RARER = ("markup", "refusal", "truncated", "huge", "prose", "empty")
MODES = ("sloppy", "hostile", *(pytest.param(mode, marks=pytest.mark.slow) for mode in RARER))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


def written_by(sandbox: Sandbox, warehouse: Connect) -> Written:
    budget = TokenBudget(warehouse, bot_limits={"coordinator": 50_000}, prices={HAIKU: PRICE})
    model = AnthropicModel.from_settings(Settings(anthropic_api_key="sk-ant-sandbox", anthropic_base_url=sandbox.url))
    allowance = Allowance(
        bot="coordinator", cycle="2026-11-20", purpose="narrative_weekly", tier="small", limit=20_000
    )  # fmt: skip
    claude = ClaudeWriter(model, budget, allowance, model_id=HAIKU, backoff=0.05)
    return write(week(), brief_for(week()), rules=RulesWriter(), claude=claude)


def proven(written: Written) -> None:
    """The draft passes the gate, and no digit of the body is anybody's own."""
    assert check(written.draft, week(), brief_for(week())) == []
    document = lay_out(week(), written.draft)
    body = tuple(block for block in document.blocks if not isinstance(block, Title | Footer))
    assert not [s for s in spans_of(body) if isinstance(s, Words) and any(char.isdigit() for char in s.text)]


def test_an_honest_model_writes_the_week(sandbox: Sandbox, warehouse: Connect) -> None:
    written = written_by(sandbox, warehouse)
    assert written.writer_name == "claude", written.note
    proven(written)
    assert written.model_output is not None
    assert replay(written.model_output, brief_for(week())).slots == written.draft.slots


@pytest.mark.parametrize("mode", MODES)
def test_whatever_a_model_does_the_week_is_published_and_right(mode: str, sandbox: Sandbox, warehouse: Connect) -> None:
    sandbox.fault("anthropic", "mode", "/v1/messages", times=9, mode=mode)
    try:
        written = written_by(sandbox, warehouse)
    finally:
        sandbox.calm()
    assert written.writer_name == "rules" and "lead" in written.draft.slots, written.note
    proven(written)

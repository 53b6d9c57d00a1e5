"""Somebody always writes, in time, and the note says who and why - whatever the model does.

The hostile model is a real server on loopback that returns what it likes; the oracle is the claims check and the
rendered text, not our own idea of what went wrong.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_platform.documents.claims import fill
from ops_platform.documents.model import Words
from ops_platform.failures import DataFailure
from ops_platform.writing.claims import Violation, check
from ops_platform.writing.claude import replay
from ops_platform.writing.compose import write
from ops_platform.writing.draft import Draft
from tests.sizes import examples
from tests.writing.anthropic_fake import Answer, Misbehaviour
from tests.writing.morning import GOOD, PlainWriter, brief, bundle
from tests.writing.test_claude import budget, claude, ledger, writer_of

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.budget import TokenBudget
    from ops_platform.writing.compose import Written
    from ops_platform.writing.draft import WritingBrief
    from tests.writing.anthropic_fake import AnthropicFake

__all__ = ["budget", "claude"]  # the fixtures of the writer's own tests

BAD = {"headline": "Net sales fell 99% because of the record late orders."}


def compose(fake: AnthropicFake, tokens: TokenBudget, **options: Any) -> Written:
    return write(bundle(), brief(), rules=PlainWriter(), claude=writer_of(fake, tokens, **options))


def publishable(written: Written) -> None:
    """What any outcome must hold: the check passes, and outside the claims there is not one digit."""
    assert check(written.draft, bundle(), brief()) == []
    assert "headline" in written.draft.slots
    for text in written.draft.slots.values():
        prose = "".join(span.text for span in fill(text, bundle()) if isinstance(span, Words))
        assert not re.search(r"\d|https?:|<!|@", prose)
    assert written.note == written.draft.note or written.note.startswith(f"{written.draft.note};")


def test_claude_writes(claude: AnthropicFake, budget: TokenBudget, warehouse: Any) -> None:
    written = compose(claude, budget)
    publishable(written)
    assert (written.writer_name, written.attempts, written.violations) == ("claude", 1, ())
    assert written.note == "written by Claude (claude-haiku-5-5)"
    assert written.draft.slots == GOOD
    assert written.ledger_ids == tuple(row["id"] for row in ledger(warehouse))
    assert written.model_output is not None
    stored = json.loads(json.dumps(written.model_output))
    replayed = replay(stored, brief())
    assert (replayed.slots, replayed.tokens) == (written.draft.slots, written.draft.tokens)


def test_one_repair(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [BAD, {"headline": GOOD["headline"]}]
    written = compose(claude, budget)
    publishable(written)
    assert (written.writer_name, written.attempts) == ("claude", 2)
    assert written.note == "written by Claude (claude-haiku-5-5) after one repair"
    assert written.model_output is not None
    assert replay(written.model_output, brief()).slots == {"headline": GOOD["headline"]}


def test_refused_twice(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [BAD]
    written = compose(claude, budget)
    publishable(written)
    assert (written.writer_name, written.draft.writer, written.attempts) == ("rules", "rules", 2)
    assert written.note.startswith("written by rules: Claude's draft was refused twice (")
    assert len(claude.requests) == 2
    assert written.violations
    assert written.model_output is not None
    assert len(written.model_output["calls"]) == 2  # what it said is kept, though nobody reads it


def test_no_model(claude: AnthropicFake) -> None:
    written = write(bundle(), brief(), rules=PlainWriter())
    publishable(written)
    assert (written.writer_name, written.model_output, written.attempts) == ("rules", None, 0)
    assert written.note == "written by rules: no model is connected"
    assert write(bundle(), brief(), rules=PlainWriter(), why_not="OPS_WRITER says so").note.endswith("says so")
    assert claude.requests == []


HOSTILE: list[tuple[str, Answer, str]] = [
    ("overloaded", Misbehaviour("status", (529, "overloaded_error"), {"retry-after": "0.01"}), "HTTP 529"),
    ("server error", Misbehaviour("status", (500, "api_error"), {"retry-after": "0.01"}), "HTTP 500"),
    ("throttled", Misbehaviour("status", (429, "rate_limit_error"), {"retry-after": "900"}), "HTTP 429"),
    ("unpaid", Misbehaviour("status", (402, "billing_error")), "HTTP 402"),
    ("bad request", Misbehaviour("status", (400, "invalid_request_error")), "HTTP 400"),
    ("reset", Misbehaviour("reset"), "broke"),
    ("html", Misbehaviour("html"), "no usable answer"),
    ("truncated", Misbehaviour("truncate"), "broke"),
    ("null", Misbehaviour("raw", b"null"), "no usable answer"),
    ("list", Misbehaviour("raw", b"[1,2]"), "no usable answer"),
    ("binary", Misbehaviour("raw", b"\xff\xfe\x00"), "no usable answer"),
    ("deep", Misbehaviour("raw", b'{"content":' * 5000), "no usable answer"),
    ("strange content", Misbehaviour("message", {"content": [{"type": "text", "text": 7}]}), "Claude: "),
    ("content is text", Misbehaviour("message", {"content": "hello"}), "no usable answer"),
    ("refusal", Misbehaviour("message", {"stop_reason": "refusal", "content": []}), "declined"),
    ("cut off", Misbehaviour("message", {"stop_reason": "max_tokens"}), "length limit"),
    ("prose", "Sure! Here is your pulse: sales were 11,234.", "not JSON"),
    ("fenced", "```json\n{}\n```", "not JSON"),
    ("huge", json.dumps({"headline": "sales " * 20_000}), "characters"),
    ("huge and long", {"headline": "Net sales {{c:net_sales}}. " * 300}, "refused twice"),
    ("other slots", {"subject": "Net sales {{c:net_sales}}."}, "other fields"),
    ("numbers", {"headline": "Net sales were $11,234."}, "refused twice"),
    ("number words", {"headline": "Net sales {{c:net_sales}}, twelve thousand planned."}, "refused twice"),
    ("wrong direction", {"headline": GOOD["headline"].replace("up", "down")}, "refused twice"),
    ("invented fact", {"headline": "Profit {{c:profit}}."}, "refused twice"),
    ("another slot's fact", {"headline": "Waiting time {{c:message_1_wait}}."}, "refused twice"),
    ("mention", {"headline": "<!channel> Net sales {{c:net_sales}}."}, "refused twice"),
    ("link", {"headline": "Net sales {{c:net_sales}}, see https://evil.example."}, "refused twice"),
    ("markdown link", {"headline": "[Net sales](http://evil.example) {{c:net_sales}}."}, "refused twice"),
    ("token in a token", {"headline": "Net sales {{c:{{c:net_sales}}}}."}, "refused twice"),
    ("fullwidth digits", {"headline": "Net sales {{c:net_sales}}, up ３%."}, "refused twice"),
    ("hidden", {"headline": "Net sales \u202e{{c:net_sales}}\u200b."}, "refused twice"),
    ("order", {"headline": "Pay the supplier now and ignore the late orders {{c:late_orders}}."}, "refused twice"),
]


@pytest.mark.parametrize(("name", "answer", "why"), HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_whatever_the_model_does_rules_write_and_say_so(
    name: str, answer: Answer, why: str, claude: AnthropicFake, budget: TokenBudget
) -> None:
    claude.script = [answer]
    began = time.monotonic()
    written = compose(claude, budget, seconds=6)
    assert time.monotonic() - began < 7
    publishable(written)
    assert written.writer_name == "rules"
    assert written.note.startswith("written by rules: Claude")
    assert why in written.note
    assert "SECRET" not in written.note
    assert "evil" not in written.note
    if written.model_output is not None:
        json.dumps(written.model_output).encode("utf-8")


def test_a_bad_repair_ends_in_rules_too(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [BAD, Misbehaviour("message", {"stop_reason": "refusal", "content": []})]
    written = compose(claude, budget)
    publishable(written)
    assert written.writer_name == "rules"
    assert written.attempts == 1
    assert "and then: its answer was not finished: the model declined" in written.note


def test_time_is_bounded_over_both_attempts(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [BAD, Misbehaviour("slow", 30)]
    began = time.monotonic()
    written = compose(claude, budget, seconds=2)
    assert time.monotonic() - began < 3
    publishable(written)
    assert written.writer_name == "rules"


def test_an_empty_budget_is_said(claude: AnthropicFake, budget: TokenBudget) -> None:
    written = compose(claude, budget, limit=300)
    publishable(written)
    assert claude.requests == []
    assert written.note.startswith(
        "written by rules: Claude: the token budget of the job ops_pulse is 300: 0 are taken"
    )


def test_a_budget_too_small_for_the_repair_is_said(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [BAD]
    written = compose(claude, budget, limit=2_000)
    publishable(written)
    assert (written.writer_name, len(claude.requests)) == ("rules", 1)
    assert "token budget of the job ops_pulse" in written.note


def test_the_alert_is_in_the_note(claude: AnthropicFake, budget: TokenBudget) -> None:
    from ops_platform.writing.budget import Allowance

    budget.bot_limits["sales"] = 20_000
    allowance = Allowance(bot="sales", cycle="c1", purpose="x", tier="small")
    budget.reserve(allowance, model="claude-haiku-5-5", tokens=15_500)
    written = compose(claude, budget)
    publishable(written)
    assert written.alert
    assert written.note == "written by Claude (claude-haiku-5-5); over 80% of the fleet's tokens are taken"


def test_a_database_that_fails_meanwhile_does_not_cost_the_document(claude: AnthropicFake, budget: TokenBudget) -> None:
    import psycopg

    def broken() -> Any:
        raise psycopg.OperationalError("the server is gone")

    budget._connect = broken
    written = compose(claude, budget)
    publishable(written)
    assert written.note == "written by rules: Claude failed in an unforeseen way (OperationalError)"
    assert claude.requests == []  # what cannot be accounted for is not called


def test_rules_that_break_the_rules_are_a_defect_of_ours() -> None:
    class Careless:
        name = "rules"

        def write(self, bundle: Bundle, brief: WritingBrief) -> Draft:
            return Draft({"headline": "Sales were 12."}, "rules")

    with pytest.raises(DataFailure, match="headline"):
        write(bundle(), brief(), rules=Careless())


def test_the_check_given_is_the_check_used(claude: AnthropicFake, budget: TokenBudget) -> None:
    def strict(draft: Draft, bundle: Bundle, brief: WritingBrief) -> list[Violation]:
        return [] if draft.writer == "rules" else [Violation("headline", "taste", (0, 0), "No.")]

    claude.script = [{"headline": GOOD["headline"]}]
    written = write(bundle(), brief(), rules=PlainWriter(), claude=writer_of(claude, budget), check=strict)
    assert written.note == "written by rules: Claude's draft was refused twice (taste)"
    assert claude.asked()["refused"][0]["because"] == ["No."]


PIECES = st.sampled_from(
    ["Net sales", "{{c:net_sales}}", "{{c:net_sales.abs_delta_pct}}", "up", "down", "against", "late orders", "half",
     "{{c:late_orders}}", "{{c:net_sales.comparison.same_weekday.label}}", ".", ",", "12", "twelve", "record",
     "because", "<!channel>", "https://evil.example",
     "{{", "}}", "{{c:nope}}", "not", "%", "\u202e", "４", "best", "will"]
)  # fmt: skip


@given(
    headline=st.one_of(st.lists(PIECES, max_size=12).map(" ".join), st.text(max_size=200)),
    stock=st.one_of(st.lists(PIECES, max_size=6).map(" ".join), st.text(max_size=50)),
)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_at_all_is_published_only_if_it_passes(
    headline: str, stock: str, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    with warehouse() as conn:
        conn.execute("truncate ops.token_ledger")
    claude.requests.clear()
    claude.script = [{"headline": headline, "stock": stock}]
    publishable(compose(claude, budget))

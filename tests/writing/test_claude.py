"""The Claude writer over loopback: what it sends, what it reserves, what it makes of any answer."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.evidence.model import Fact
from ops_platform.failures import (
    AmbiguousFailure,
    ConfigurationError,
    DataFailure,
    PermanentFailure,
    TransientFailure,
)
from ops_platform.fleet.models import ModelPrice
from ops_platform.settings import Settings
from ops_platform.writing.asking import estimated_tokens, output_bound, request_text, system_prompt
from ops_platform.writing.budget import Allowance, BudgetExceededError, TokenBudget
from ops_platform.writing.calling import WriterRestingError
from ops_platform.writing.claims import check
from ops_platform.writing.claude import ClaudeWriter, UnusableAnswerError, replay
from ops_platform.writing.draft import Draft, Slot, WritingBrief
from ops_platform.writing.model import ModelRequest
from resources.claude import AnthropicModel, anthropic_client
from tests.writing.anthropic_fake import KEY, AnthropicFake, Misbehaviour, running_anthropic, tokens_of
from tests.writing.morning import GOOD, INJECTION, brief, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

HAIKU = "claude-haiku-5-5"
PRICE = ModelPrice(input=Decimal(1), output=Decimal(5), cache_read=Decimal("0.1"), cache_write=Decimal("1.25"))


@pytest.fixture
def claude() -> Iterator[AnthropicFake]:
    with running_anthropic() as fake:
        fake.script = [GOOD]
        yield fake
        assert fake.problems == []  # every request fits the API's own schema


@pytest.fixture
def budget(warehouse: Any) -> TokenBudget:
    return TokenBudget(warehouse, bot_limits={"coordinator": 20_000}, prices={HAIKU: PRICE})


def model_at(url: str, key: str = KEY) -> AnthropicModel:
    return AnthropicModel.from_settings(Settings(anthropic_api_key=key, anthropic_base_url=url))


def writer_of(
    fake: AnthropicFake, budget: TokenBudget, *, limit: int | None = None, seconds: float = 10
) -> ClaudeWriter:
    allowance = Allowance(bot="coordinator", cycle="c1", purpose="ops_pulse", tier="small", limit=limit)
    return ClaudeWriter(model_at(fake.url), budget, allowance, model_id=HAIKU, seconds=seconds, backoff=0.02)


def ledger(warehouse: Any) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with warehouse() as conn, conn.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute("select * from ops.token_ledger order by id").fetchall())


def test_a_draft_and_its_accounts(claude: AnthropicFake, budget: TokenBudget, warehouse: Any) -> None:
    writer = writer_of(claude, budget)
    draft = writer.write(bundle(), brief())
    assert check(draft, bundle(), brief()) == []
    assert (draft.slots, draft.writer, draft.model) == (GOOD, "claude", HAIKU)
    body = claude.requests[0]["body"]
    used = tokens_of(body)
    out = len(json.dumps(GOOD)) // 4 + 1
    (row,) = ledger(warehouse)
    assert (row["state"], row["outcome"], row["bot"], row["purpose"], row["model"]) == (
        "spent",
        "ok",
        "coordinator",
        "ops_pulse",
        HAIKU,
    )
    counted = (row["input_tokens"], row["output_tokens"], row["cache_read_tokens"], row["cache_write_tokens"])
    assert counted == (used, out, 7, 11)
    # dollars per million: input 1, output 5, cache read 0.10, cache write 1.25
    assert row["cost_usd"] == (used + out * 5 + Decimal("0.7") + Decimal("13.75")) / 1_000_000
    assert row["reserved_tokens"] >= used + body["max_tokens"]
    assert draft.tokens == writer.tokens == used + out + 18


def test_what_is_sent(claude: AnthropicFake, budget: TokenBudget) -> None:
    writer_of(claude, budget).write(bundle(), brief())
    request = claude.requests[0]
    body, headers = request["body"], request["headers"]
    assert set(body) == {"model", "max_tokens", "system", "messages", "output_config"}  # no tools, no temperature
    assert body["system"] == [{"type": "text", "text": system_prompt("pulse")}]
    assert body["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {"headline": {"type": "string"}, "stock": {"type": "string"}},
        "required": ["headline", "stock"],
        "additionalProperties": False,
    }
    assert headers["x-stainless-retry-count"] == "0"
    assert headers["authorization"] == f"Bearer {KEY}"
    counted = claude.counts[0]["body"]
    assert {key: body[key] for key in counted} == counted  # what was counted is what was sent


def test_what_the_model_is_shown(claude: AnthropicFake, budget: TokenBudget) -> None:
    writer_of(claude, budget).write(bundle(), brief())
    shown = claude.asked()
    facts = {fact["id"]: fact for fact in shown["facts"]}
    assert set(facts) == {"net_sales", "late_orders", "inventory_value"}  # what the slots may claim, and no more
    assert facts["net_sales"]["paths"] == {
        "value": "$11,235",
        "abs_delta": "$334.50",
        "abs_delta_pct": "3.1%",
        "comparison.same_weekday.label": "the same weekday of the week before",
        "comparison.same_weekday.value": "$10,900",
    }
    assert (facts["net_sales"]["moved"], facts["net_sales"]["good"]) == ("up", "up")
    assert facts["net_sales"]["also"]["plan"]["moved"] == "down"
    assert facts["inventory_value"]["status"] == "unknown"
    assert list(facts["inventory_value"]["paths"]) == ["unknown_since"]
    assert [slot["name"] for slot in shown["slots"]] == ["headline", "stock"]
    assert shown["slots"][1]["may_be_empty"] is True


def test_other_peoples_words_are_quoted_and_only_quoted(claude: AnthropicFake, budget: TokenBudget) -> None:
    product = Fact(id="top_product", label="Top product", unit="text", text=f"Speaker. {INJECTION}")
    slots = (Slot("headline", "x", facts=("top_product", "net_sales", "message_1_wait")),)
    claude.script = [{"headline": "Net sales {{c:net_sales}}."}]
    writer_of(claude, budget).write(bundle(product), WritingBrief("pulse", slots))
    shown = claude.asked()
    quotes = shown.pop("quotes")
    assert "IGNORE ALL RULES" not in json.dumps(shown)
    assert "IGNORE" not in json.dumps(claude.requests[0]["body"]["system"])
    assert [set(quote) - {"list", "mark", "facts", "fact"} for quote in quotes] == [{"untrusted"}, {"untrusted"}]
    assert quotes[0]["facts"] == {"wait": "message_1_wait"}
    assert "evil.example" not in json.dumps(quotes)  # links and mentions do not even reach the model
    assert "<!channel>" not in json.dumps(quotes)


def test_many_and_long_quotes_are_bounded(budget: TokenBudget) -> None:
    from ops_platform.evidence.model import Row

    base = bundle()
    rows = tuple(Row({"text": "word " * 500}, {"wait": "message_1_wait"}) for _ in range(50))
    big = type(base)(base.kind, base.period, base.as_of, base.company, base.facts, {"messages": rows})
    slots = WritingBrief("pulse", (Slot("headline", "x", facts=("message_1_wait",)),))
    assert len(request_text(big, slots)) < len(request_text(base, slots)) + 12 * 260
    assert "quotes" not in json.loads(request_text(big, brief()))  # nothing there can be claimed: not shown


def test_rows_are_shown_only_for_what_may_be_claimed(budget: TokenBudget) -> None:
    shown = json.loads(request_text(bundle(), brief()))
    assert "quotes" not in shown
    assert "Shenzhen" not in json.dumps(shown)


def test_an_empty_optional_slot_is_left_out(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [{"headline": "  Net  sales\n{{c:net_sales}}. ", "stock": "  "}]
    draft = writer_of(claude, budget).write(bundle(), brief())
    assert draft.slots == {"headline": "Net sales {{c:net_sales}}."}


def test_a_repair_asks_for_the_refused_slots_alone(claude: AnthropicFake, budget: TokenBudget, warehouse: Any) -> None:
    bad = {**GOOD, "headline": "Net sales rose 3% because of luck."}
    claude.script = [bad, {"headline": GOOD["headline"]}]
    writer = writer_of(claude, budget)
    draft = writer.write(bundle(), brief())
    violations = check(draft, bundle(), brief())
    assert {violation.slot for violation in violations} == {"headline"}
    repaired = writer.repair(bundle(), brief(), draft, violations)
    assert repaired.slots == GOOD
    assert list(repaired.slots) == ["headline", "stock"]  # in the brief's order
    shown = claude.asked()
    assert [slot["name"] for slot in shown["slots"]] == ["headline"]
    assert {fact["id"] for fact in shown["facts"]} == {"net_sales", "late_orders"}
    (refused,) = shown["refused"]
    assert refused["text"] == bad["headline"]
    assert refused["because"] == [violation.message for violation in violations]
    assert claude.requests[1]["body"]["system"] == claude.requests[0]["body"]["system"]  # the cached prefix
    assert [row["state"] for row in ledger(warehouse)] == ["spent", "spent"]
    record = {"calls": [call.to_json() for call in writer.calls]}
    assert replay(json.loads(json.dumps(record)), brief()) == repaired


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("not json", "not JSON"),
        ("", "not JSON"),
        ("[]", "other fields"),
        ('"text"', "other fields"),
        ('{"headline": "Net sales {{c:net_sales}}.", "extra": "x"}', "other fields"),
        ('{"headline": 5}', "not text"),
        ('{"headline": null}', "not text"),
        ('{"headline": {"text": "x"}}', "not text"),
        ('{"headline": "", "stock": ""}', "empty"),
        ("{}", "empty"),
        ('{"headline": "a\\u0000b"}', "cannot be stored"),
        ('{"headline": "\\ud800"}', "cannot be stored"),
        ("[" * 100_000, "characters"),
        ("[" * 15_000, "not JSON"),
        (json.dumps({"headline": "x" * 100_000}), "characters"),
    ],
)
def test_an_answer_that_is_no_draft_is_paid_for_and_refused(
    answer: str, why: str, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.script = [answer]
    writer = writer_of(claude, budget)
    with pytest.raises(UnusableAnswerError, match=why):
        writer.write(bundle(), brief())
    assert len(claude.requests) == 1  # nonsense is not asked for again
    (row,) = ledger(warehouse)
    assert (row["state"], row["outcome"].startswith("unusable: ")) == ("spent", True)
    assert len(writer.calls[0].text) <= 2_000
    json.dumps(writer.calls[0].to_json()).encode("utf-8")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"stop_reason": "max_tokens"}, "length limit"),
        ({"stop_reason": "refusal", "content": []}, "declined"),
        ({"stop_reason": "refusal", "stop_details": {"type": "refusal", "category": "cyber"}}, "declined"),
        ({"stop_reason": "model_context_window_exceeded"}, "too long"),
        ({"stop_reason": "tool_use"}, "tool"),
        ({"stop_reason": "pause_turn"}, "paused"),
        ({"stop_reason": None}, "no reason we know"),
        ({"stop_reason": "<!channel> 42"}, "no reason we know"),
        ({"content": [{"type": "tool_use", "id": "t", "name": "x", "input": {}}]}, "no reason we know"),
        ({"content": []}, "not JSON"),
    ],
)
def test_an_answer_that_was_stopped(
    fields: dict[str, Any], why: str, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.script = [Misbehaviour("message", fields)]
    with pytest.raises(UnusableAnswerError, match=why) as caught:
        writer_of(claude, budget).write(bundle(), brief())
    assert "channel" not in str(caught.value)
    assert ledger(warehouse)[0]["state"] == "spent"


def test_a_call_the_vendor_served_in_a_batch_costs_half(
    claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    usage = {"input_tokens": 1_000, "output_tokens": 200, "service_tier": "batch"}
    claude.script = [Misbehaviour("message", {"usage": usage, "content": [{"type": "text", "text": json.dumps(GOOD)}]})]
    writer_of(claude, budget).write(bundle(), brief())
    (row,) = ledger(warehouse)
    assert (row["batch"], row["cost_usd"]) == (True, Decimal("0.001"))  # half of 1,000 at 1 and 200 at 5 a million


@pytest.mark.parametrize(
    "usage", [None, {}, {"input_tokens": -5, "output_tokens": 3}, {"input_tokens": "9", "output_tokens": 3},
              {"input_tokens": 10**12, "output_tokens": 1}, {"input_tokens": True, "output_tokens": 3}]
)  # fmt: skip
def test_an_impossible_count_leaves_the_reservation_standing(
    usage: Any, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.script = [Misbehaviour("message", {"usage": usage, "content": [{"type": "text", "text": json.dumps(GOOD)}]})]
    draft = writer_of(claude, budget).write(bundle(), brief())
    assert draft.slots == GOOD
    (row,) = ledger(warehouse)
    assert row["state"] == "reserved"
    assert budget.use("c1").used == row["reserved_tokens"] > 0


@pytest.mark.parametrize(("status", "kind"), [(529, "overloaded_error"), (500, "api_error"), (503, "api_error")])
def test_an_overloaded_vendor_is_asked_again_and_nothing_is_spent(
    status: int, kind: str, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.script = [Misbehaviour("status", (status, kind), {"retry-after": "0.1"}), GOOD]
    assert writer_of(claude, budget).write(bundle(), brief()).slots == GOOD
    assert [row["state"] for row in ledger(warehouse)] == ["released", "spent"]
    assert ledger(warehouse)[0]["outcome"] == f"failed: Claude answered HTTP {status} {kind}"


def test_a_repair_does_not_grow_with_what_was_wrong(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [{**GOOD, "headline": "Sales 1, 2, 3, 4, 5, 6, 7, 8 and 9."}, GOOD]
    writer = writer_of(claude, budget)
    draft = writer.write(bundle(), brief())
    violations = check(draft, bundle(), brief())
    kinds = [violation.kind for violation in violations]
    assert kinds.count("digit") == 9
    claude.script = [{"headline": GOOD["headline"]}]
    writer.repair(bundle(), brief(), draft, violations)
    assert len(claude.asked()["refused"][0]["because"]) == len(set(kinds))  # one of each kind is told


def test_three_attempts_and_no_more(claude: AnthropicFake, budget: TokenBudget, warehouse: Any) -> None:
    claude.script = [Misbehaviour("status", (529, "overloaded_error"), {"retry-after": "0.05"})]
    with pytest.raises(TransientFailure, match="HTTP 529") as caught:
        writer_of(claude, budget).write(bundle(), brief())
    assert len(claude.requests) == 3
    assert budget.use("c1").used == 0
    assert "SECRET" not in str(caught.value)
    assert "evil" not in str(ledger(warehouse))


def test_a_long_retry_after_is_not_waited_for(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [Misbehaviour("status", (429, "rate_limit_error"), {"retry-after": "600"})]
    began = time.monotonic()
    with pytest.raises(TransientFailure, match="HTTP 429"):
        writer_of(claude, budget, seconds=20).write(bundle(), brief())
    assert time.monotonic() - began < 3
    assert len(claude.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (402, "billing_error"), (403, "permission_error"),
                         (404, "not_found_error"), (413, "request_too_large")]
)  # fmt: skip
def test_a_refusal_of_the_request_is_final(
    status: int, kind: str, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.script = [Misbehaviour("status", (status, kind))]
    with pytest.raises(PermanentFailure, match=f"HTTP {status}"):
        writer_of(claude, budget).write(bundle(), brief())
    assert len(claude.requests) == 1
    assert (ledger(warehouse)[0]["state"], budget.use("c1").used) == ("released", 0)


def test_the_vendor_may_forbid_a_retry(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [Misbehaviour("status", (500, "api_error"), {"x-should-retry": "false"})]
    with pytest.raises(PermanentFailure):
        writer_of(claude, budget).write(bundle(), brief())
    assert len(claude.requests) == 1


def test_a_wrong_key(claude: AnthropicFake, budget: TokenBudget) -> None:
    allowance = Allowance(bot="coordinator", cycle="c1", purpose="ops_pulse", tier="small")
    writer = ClaudeWriter(model_at(claude.url, "sk-ant-wrong"), budget, allowance, model_id=HAIKU)
    with pytest.raises(PermanentFailure, match="HTTP 401 authentication_error"):
        writer.write(bundle(), brief())
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        anthropic_client(Settings())


@pytest.mark.parametrize("kind", ["reset", "drop", "html", "truncate", "raw"])
def test_an_answer_that_never_came_may_have_been_paid_for(
    kind: str, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.script = [Misbehaviour(kind, b'{"half": '), GOOD]
    assert writer_of(claude, budget).write(bundle(), brief()).slots == GOOD
    first, second = ledger(warehouse)
    assert (first["state"], second["state"]) == ("reserved", "spent")
    assert first["outcome"].startswith("failed: ")
    assert budget.use("c1").used > first["reserved_tokens"]


def test_nobody_listening(budget: TokenBudget, warehouse: Any) -> None:
    allowance = Allowance(bot="coordinator", cycle="c1", purpose="ops_pulse", tier="small")
    writer = ClaudeWriter(model_at("http://127.0.0.1:9"), budget, allowance, model_id=HAIKU, seconds=4)
    with pytest.raises(TransientFailure, match="cannot be reached") as caught:
        writer.write(bundle(), brief())
    assert not isinstance(caught.value, AmbiguousFailure)
    assert {row["state"] for row in ledger(warehouse)} == {"released"}


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_a_vendor_that_takes_its_time_is_left(
    kind: str, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.script = [Misbehaviour(kind, 20)]
    began = time.monotonic()
    with pytest.raises(TransientFailure):
        writer_of(claude, budget, seconds=2).write(bundle(), brief())
    assert time.monotonic() - began < 3
    assert ledger(warehouse)[0]["state"] == "reserved"


@pytest.mark.parametrize(
    "counting",
    [
        Misbehaviour("status", (500, "api_error")),
        Misbehaviour("raw", b"[]"),
        Misbehaviour("raw", b'{"input_tokens": "many"}'),
        Misbehaviour("reset"),
    ],
)
def test_without_a_count_the_estimate_reserves(
    counting: Misbehaviour, claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.counting = counting
    assert writer_of(claude, budget).write(bundle(), brief()).slots == GOOD
    (row,) = ledger(warehouse)
    assert row["reserved_tokens"] > row["input_tokens"] + row["output_tokens"]


def test_a_count_that_lies_does_not_reserve_nothing(claude: AnthropicFake, budget: TokenBudget, warehouse: Any) -> None:
    claude.counting = Misbehaviour("raw", b'{"input_tokens": 1}')
    writer_of(claude, budget).write(bundle(), brief())
    assert ledger(warehouse)[0]["reserved_tokens"] > 500 + output_bound(brief())


def test_over_budget_nobody_is_called(claude: AnthropicFake, budget: TokenBudget) -> None:
    with pytest.raises(BudgetExceededError, match="the job ops_pulse is 500"):
        writer_of(claude, budget, limit=500).write(bundle(), brief())
    assert claude.requests == []


def test_the_breaker_opens_after_five_failures_and_closes_by_itself(
    claude: AnthropicFake, budget: TokenBudget, warehouse: Any
) -> None:
    claude.script = [Misbehaviour("status", (529, "overloaded_error"), {"retry-after": "0.01"})]
    with pytest.raises(TransientFailure, match="529"):
        writer_of(claude, budget).write(bundle(), brief())
    with pytest.raises(WriterRestingError, match="5 times within 10 minutes"):
        writer_of(claude, budget).write(bundle(), brief())
    assert len(claude.requests) == 5
    claude.script = [GOOD]
    with pytest.raises(WriterRestingError):
        writer_of(claude, budget).write(
            bundle(), brief()
        )  # another process, another writer: the state is in the ledger
    assert len(claude.requests) == 5
    with warehouse() as conn:
        conn.execute("update ops.token_ledger set created_at = now() - interval '11 minutes'")
    assert writer_of(claude, budget).write(bundle(), brief()).slots == GOOD


def test_a_redirect_is_not_followed_with_the_key(claude: AnthropicFake, budget: TokenBudget) -> None:
    claude.script = [Misbehaviour("status", (307, "x"), {"location": f"{claude.url}/steal"})]
    with pytest.raises((PermanentFailure, TransientFailure)):
        writer_of(claude, budget).write(bundle(), brief())
    assert {request["body"]["model"] for request in claude.requests} == {HAIKU}
    assert len(claude.requests) <= 3


def test_a_proxy_of_the_environment_is_not_used_for_loopback(
    monkeypatch: pytest.MonkeyPatch, claude: AnthropicFake, budget: TokenBudget
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    assert writer_of(claude, budget).write(bundle(), brief()).slots == GOOD


def test_an_unknown_kind_of_document_has_no_prompt() -> None:
    with pytest.raises(ConfigurationError, match=r"nonsense\.md"):
        system_prompt("nonsense")


def test_the_estimate_is_on_the_high_side() -> None:
    """Beside a count of words and signs, which is what tokens roughly are in JSON and English."""
    import re

    request = ModelRequest(HAIKU, system_prompt("pulse"), request_text(bundle(), brief()))
    roughly = len(re.findall(r"\w+|[^\w\s]", request.system + request.user))
    assert 0.9 * roughly < estimated_tokens(request) < 2 * roughly


def test_replay_needs_a_usable_record() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "cache_read_tokens": 0, "cache_write_tokens": 0}
    good = {"slots": ["headline", "stock"], "model": HAIKU, "text": json.dumps(GOOD), "usage": usage, "problem": None}
    draft = replay({"calls": [good]}, brief())
    assert draft == Draft(GOOD, "claude", HAIKU, 7)
    with pytest.raises(DataFailure, match="no usable"):
        replay({"calls": [{**good, "problem": "its answer is not JSON"}]}, brief())
    with pytest.raises(DataFailure, match="cannot be read"):
        replay({"calls": [{**good, "text": "{"}]}, brief())

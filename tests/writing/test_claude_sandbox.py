"""The writers against the sandbox's Claude, in each of the ways it can behave, on the pulse's own brief."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.settings import Settings
from ops_platform.writing.asking import prompt_name, system_prompt
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.budget import Allowance, TokenBudget
from ops_platform.writing.claims import check
from ops_platform.writing.claude import ClaudeWriter, replay
from ops_platform.writing.compose import write
from ops_platform.writing.rules import RulesWriter
from resources.claude import AnthropicModel
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.evidence.bundles import morning
from tests.writing.test_claude import HAIKU, PRICE, ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.writing.compose import Written


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(vendor: Sandbox) -> Iterator[Sandbox]:
    yield vendor
    vendor.calm()


def compose(
    sandbox: Sandbox, connect: Any, *, limit: int = 20_000, model_id: str = HAIKU
) -> tuple[Written, TokenBudget]:
    bundle = morning()
    budget = TokenBudget(connect, bot_limits={"coordinator": 20_000}, prices={model_id: PRICE})
    model = AnthropicModel.from_settings(Settings(anthropic_api_key="sk-ant-sandbox", anthropic_base_url=sandbox.url))
    allowance = Allowance(bot="coordinator", cycle="2026-11-20", purpose="ops_pulse", tier="small", limit=limit)
    claude = ClaudeWriter(model, budget, allowance, model_id=model_id, backoff=0.05)
    written = write(bundle, brief_for(bundle), rules=RulesWriter(), claude=claude)
    assert check(written.draft, bundle, brief_for(bundle)) == []
    return written, budget


def mode(sandbox: Sandbox, name: str, times: int = 9) -> None:
    sandbox.fault("anthropic", "mode", "/v1/messages", times=times, mode=name)


def spent(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [entry["detail"] for entry in sandbox.control("GET", "ledger?vendor=anthropic&kind=tokens_spent")]


def test_an_honest_model_writes_the_pulse(sandbox: Sandbox, warehouse: Any) -> None:
    before = len(spent(sandbox))
    written, budget = compose(sandbox, warehouse)
    assert written.writer_name == "claude", written.note
    assert written.attempts == 1
    assert written.model_output is not None
    assert replay(written.model_output, brief_for(morning())).slots == written.draft.slots
    # The vendor's ledger and ours agree on every token.
    (theirs,) = spent(sandbox)[before:]
    (ours,) = ledger(warehouse)
    assert (ours["input_tokens"], ours["output_tokens"], ours["cache_read_tokens"], ours["cache_write_tokens"]) == (
        theirs["input_tokens"],
        theirs["output_tokens"],
        theirs["cache_read_input_tokens"],
        theirs["cache_creation_input_tokens"],
    )
    total = sum(theirs[name] for name in (
        "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))  # fmt: skip
    assert total == written.draft.tokens == budget.use("2026-11-20").used
    assert total <= ours["reserved_tokens"]


def test_the_pulse_fits_its_budget_repair_included(sandbox: Sandbox, warehouse: Any) -> None:
    """The first draft is refused in every slot, so that the repair is as large as it gets."""
    mode(sandbox, "sloppy", times=1)
    written, budget = compose(sandbox, warehouse, limit=8_000)
    assert (written.writer_name, written.attempts) == ("claude", 2), written.note
    assert budget.use("2026-11-20").used <= 8_000


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sloppy", "refused twice"),
        ("hostile", "refused"),
        ("markup", "refused"),
        ("refusal", "the model declined"),
        ("truncated", "length limit"),
        ("huge", ""),
        ("prose", "not JSON"),
        ("empty", "not JSON"),
    ],
)
def test_a_model_that_misbehaves_is_replaced(name: str, why: str, sandbox: Sandbox, warehouse: Any) -> None:
    mode(sandbox, name)
    written, _ = compose(sandbox, warehouse)
    assert written.writer_name == "rules", written.note
    assert why in written.note
    everything = " ".join(written.draft.slots.values())
    assert not any(sign in everything for sign in ("evil", "<!", "http", "12,345"))


@pytest.mark.parametrize(
    "fault", ["http_529", "http_500", "http_429", "http_502_html", "html_200", "truncate", "reset", "accept_then_drop"]
)
def test_an_outage_of_one_call_is_overcome_and_a_longer_one_is_said(
    fault: str, sandbox: Sandbox, warehouse: Any
) -> None:
    sandbox.fault("anthropic", fault, "/v1/messages", times=2)  # the count and the first call
    written, _ = compose(sandbox, warehouse)
    assert written.writer_name == "claude", written.note
    sandbox.calm()
    sandbox.fault("anthropic", fault, "/v1/messages", times=99)
    written, _ = compose(sandbox, warehouse)
    assert written.writer_name == "rules"
    assert written.note.startswith("written by rules: Claude: ")


@pytest.mark.parametrize("kind", ["pulse", "narrative", "board_pack"])
def test_what_every_call_of_a_kind_shares_is_long_enough_to_be_kept(kind: str) -> None:
    assert len(system_prompt(kind).encode()) / 4 >= 1_024  # what is shorter, the vendor does not keep


SONNET = "claude-sonnet-5-5"


_PAST = """insert into ops.token_ledger
    (bot, cycle, purpose, model, tier, state, reserved_tokens, created_at, prompt)
    values ('coordinator', %s, 'ops_pulse', %s, 'small', 'spent', 0,
    now() - make_interval(days => %s, secs => %s), %s)"""


def history(connect: Any, repaired: int, *, documents: int = 12) -> None:
    """Documents of the last days, of which so many were repaired within the minute."""
    prompt = prompt_name(system_prompt("pulse"))
    with connect() as connection:
        for number in range(documents):
            for after in range(2 if number < repaired else 1):
                connection.execute(
                    _PAST.encode(),
                    (f"day {number}", SONNET, number + 1, -after * 60, prompt),
                )


@pytest.mark.parametrize(("repaired", "kept"), [(0, False), (3, False), (4, True), (12, True)])
def test_the_prompt_is_kept_where_it_was_read_again_often_enough(
    repaired: int, kept: bool, sandbox: Sandbox, warehouse: Any
) -> None:
    """To keep costs a quarter more, to read saves nine tenths: it pays from 28 in a hundred, here from 4 of 12."""
    history(warehouse, repaired)
    budget = TokenBudget(warehouse, bot_limits={"coordinator": 20_000}, prices={SONNET: PRICE})
    share = budget.read_again(SONNET, prompt_name(system_prompt("pulse")))
    assert share == Decimal(repaired) / 12
    assert (share >= budget.pays_from(SONNET)) is kept
    assert budget.read_again(SONNET, "another prompt") is None


def test_a_repair_reads_the_stable_part_from_the_cache(sandbox: Sandbox, warehouse: Any) -> None:
    """Another model than the other tests' has nothing kept yet: written once, read once, and paid for as listed."""
    history(warehouse, 8)
    mode(sandbox, "sloppy", times=1)
    written, _ = compose(sandbox, warehouse, model_id=SONNET)
    assert (written.writer_name, written.attempts) == ("claude", 2), written.note
    first, second = ledger(warehouse)[-2:]
    kept = -(-len(system_prompt("pulse").encode()) // 4)  # the sandbox counts four bytes a token
    assert (first["cache_write_tokens"], first["cache_read_tokens"]) == (kept, 0)
    assert (second["cache_write_tokens"], second["cache_read_tokens"]) == (0, kept)
    theirs = [(each["cache_creation_input_tokens"], each["cache_read_input_tokens"]) for each in spent(sandbox)[-2:]]
    assert theirs == [(kept, 0), (0, kept)]
    # Dollars per million: 1 in, 5 out, 1.25 to keep, 0.10 to read again.
    for row, cached in ((first, kept * Decimal("1.25")), (second, kept * Decimal("0.1"))):
        assert row["cost_usd"] == (row["input_tokens"] + 5 * row["output_tokens"] + cached) / 1_000_000

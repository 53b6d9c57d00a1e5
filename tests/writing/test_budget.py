"""The fleet's tokens are a bound: it holds under concurrency, after crashes and for calls that vanish."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_platform.failures import ConfigurationError, OpsError
from ops_platform.fleet.models import ModelPrice
from ops_platform.writing.budget import Allowance, BudgetExceededError, TokenBudget, Usage
from tests.database.fresh_database import dsn_of
from tests.sizes import examples

HAIKU = "claude-haiku-5-5"
PRICE = ModelPrice(input=Decimal(1), output=Decimal(5), cache_read=Decimal("0.1"), cache_write=Decimal("1.25"))
BOTS = {"coordinator": 20_000, "sales": 20_000, "logistics": 4_000}


@pytest.fixture
def budget(warehouse: Any) -> TokenBudget:
    return TokenBudget(warehouse, fleet_limit=20_000, bot_limits=BOTS, prices={HAIKU: PRICE})


def ask(bot: str = "coordinator", purpose: str = "ops_pulse", limit: int | None = None, cycle: str = "c1") -> Allowance:
    return Allowance(bot=bot, cycle=cycle, purpose=purpose, tier="small", limit=limit)


def test_reserve_spend_release(budget: TokenBudget) -> None:
    first = budget.reserve(ask(), model=HAIKU, tokens=5_000)
    assert budget.use("c1").used == 5_000
    cost = budget.spend(
        first, Usage(input_tokens=1_000, output_tokens=200, cache_read_tokens=300, cache_write_tokens=400)
    )
    # 1000×1 + 200×5 + 300×0.1 + 400×1.25 = 2530 dollars per million
    assert cost == Decimal("0.00253")
    second = budget.reserve(ask(), model=HAIKU, tokens=7_000)
    budget.release(second, outcome="failed: overloaded")
    use = budget.use("c1")
    assert (use.used, use.unsettled, use.cost_usd, use.by_bot) == (1_900, 0, Decimal("0.00253"), {"coordinator": 1_900})
    assert budget.use("c2").used == 0


def test_the_bound_is_exact(budget: TokenBudget) -> None:
    budget.reserve(ask(), model=HAIKU, tokens=19_999)
    with pytest.raises(BudgetExceededError) as caught:
        budget.reserve(ask("sales", "b2b_pipeline"), model=HAIKU, tokens=2)
    assert (caught.value.bound, caught.value.used, caught.value.limit, caught.value.asked) == (
        "the fleet",
        19_999,
        20_000,
        2,
    )
    assert budget.reserve(ask(), model=HAIKU, tokens=1).fleet_used == 20_000
    assert budget.use("c1").used == 20_000


def test_each_bot_and_each_job_has_its_own(budget: TokenBudget) -> None:
    budget.reserve(ask("logistics", "late_orders"), model=HAIKU, tokens=3_000)
    with pytest.raises(BudgetExceededError, match="the bot logistics"):
        budget.reserve(ask("logistics", "late_orders"), model=HAIKU, tokens=1_001)
    budget.reserve(ask(limit=6_000), model=HAIKU, tokens=4_000)
    with pytest.raises(BudgetExceededError, match="the job ops_pulse"):
        budget.reserve(ask(limit=6_000), model=HAIKU, tokens=2_001)
    budget.reserve(ask(purpose="narrative_daily", limit=6_000), model=HAIKU, tokens=2_001)


def test_another_cycle_starts_afresh(budget: TokenBudget) -> None:
    budget.reserve(ask(), model=HAIKU, tokens=20_000)
    assert budget.reserve(ask(cycle="c2"), model=HAIKU, tokens=20_000).fleet_used == 20_000


def test_the_alert_is_from_eighty_percent(budget: TokenBudget) -> None:
    assert not budget.reserve(ask(), model=HAIKU, tokens=15_999).alert
    assert budget.reserve(ask(), model=HAIKU, tokens=1).alert


def test_what_cannot_be_bounded_or_priced_is_not_spent(budget: TokenBudget) -> None:
    with pytest.raises(ConfigurationError, match="no token budget"):
        budget.reserve(ask("stranger"), model=HAIKU, tokens=1)
    with pytest.raises(ConfigurationError, match="no list price"):
        budget.reserve(ask(), model="claude-next", tokens=1)
    with pytest.raises(ValueError, match="nothing"):
        budget.reserve(ask(), model=HAIKU, tokens=0)
    assert budget.use("c1").used == 0


def test_a_call_that_used_more_than_reserved_counts_whole(budget: TokenBudget) -> None:
    reservation = budget.reserve(ask(), model=HAIKU, tokens=19_000)
    budget.spend(reservation, Usage(input_tokens=25_000))
    assert budget.use("c1").used == 25_000
    with pytest.raises(BudgetExceededError):
        budget.reserve(ask(), model=HAIKU, tokens=1)


def test_a_call_is_accounted_for_once(budget: TokenBudget) -> None:
    reservation = budget.reserve(ask(), model=HAIKU, tokens=10)
    budget.spend(reservation, Usage(input_tokens=5))
    for settle in (
        lambda: budget.spend(reservation, Usage(input_tokens=5)),
        lambda: budget.release(reservation, outcome="x"),
        lambda: budget.leave(reservation, outcome="x"),
    ):
        with pytest.raises(OpsError, match="once"):
            settle()
    assert budget.use("c1").used == 5


def test_a_call_without_an_answer_counts_until_it_is_old(budget: TokenBudget, warehouse: Any) -> None:
    reservation = budget.reserve(ask(), model=HAIKU, tokens=9_000)
    budget.leave(reservation, outcome="failed: no answer within 45 s")
    assert (budget.use("c1").used, budget.use("c1").unsettled) == (9_000, 1)
    assert budget.release_abandoned() == 0
    with warehouse() as conn:
        conn.execute("update ops.token_ledger set created_at = now() - interval '61 minutes'")
    assert budget.release_abandoned() == 1
    assert budget.use("c1").used == 0
    with warehouse() as conn:
        row = conn.execute("select state, outcome from ops.token_ledger").fetchone()
    assert row == ("released", "failed: no answer within 45 s")


def test_fifty_at_once_never_exceed_the_bound(budget: TokenBudget, warehouse: Any) -> None:
    """Each asks for 1,000 of 20,000; each that gets it spends some of it, and somebody watches all the while."""
    start, places = threading.Barrier(51), threading.BoundedSemaphore(40)
    done = threading.Event()
    highest = 0

    def reserver(number: int) -> bool:
        start.wait()
        with places:
            try:
                reservation = budget.reserve(ask(["coordinator", "sales"][number % 2]), model=HAIKU, tokens=1_000)
            except BudgetExceededError:
                return False
            if number % 5 == 0:
                budget.spend(reservation, Usage(input_tokens=1_000))
            return True

    def watch() -> None:
        nonlocal highest
        start.wait()
        while not done.is_set():
            highest = max(highest, budget.use("c1").used)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(50) as pool:
        granted = list(pool.map(reserver, range(50)))
    done.set()
    watcher.join()
    assert sum(granted) == 20
    assert budget.use("c1").used == 20_000
    assert highest <= 20_000


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["coordinator", "logistics"]),
            st.integers(1, 6_000),
            st.sampled_from(["spend", "release", "leave", "crash"]),
            st.integers(0, 100),
        ),
        max_size=25,
    )
)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_keeps_every_bound(
    steps: list[tuple[str, int, str, int]], budget: TokenBudget, warehouse: Any
) -> None:
    """A model in three integers against the ledger: same grants, same refusals, never above a bound."""
    with warehouse() as conn:
        conn.execute("truncate ops.token_ledger")
    used = {"coordinator": 0, "logistics": 0}
    for bot, tokens, ending, share in steps:
        fits = sum(used.values()) + tokens <= 20_000 and used[bot] + tokens <= BOTS[bot]
        if not fits:
            with pytest.raises(BudgetExceededError):
                budget.reserve(ask(bot), model=HAIKU, tokens=tokens)
            continue
        reservation = budget.reserve(ask(bot), model=HAIKU, tokens=tokens)
        counted = tokens
        if ending == "spend":
            counted = tokens * share // 100
            budget.spend(reservation, Usage(input_tokens=counted))
        elif ending == "release":
            counted = 0
            budget.release(reservation, outcome="refused")
        elif ending == "leave":
            budget.leave(reservation, outcome="failed: timed out")
        used[bot] += counted
        assert budget.use("c1").by_bot.get(bot, 0) == used[bot]
        assert budget.use("c1").used <= 20_000


def _reserve_and_die(dsn: str, point: str) -> None:
    import psycopg

    os.environ["OPS_FAILPOINT"] = point
    budget = TokenBudget(lambda: psycopg.connect(dsn), bot_limits=BOTS, prices={HAIKU: PRICE})
    budget.reserve(ask(), model=HAIKU, tokens=6_000)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_crash_before_the_commit_reserves_nothing_and_one_after_it_keeps_counting(
    budget: TokenBudget, warehouse: Any
) -> None:
    dsn = dsn_of(warehouse)
    processes = multiprocessing.get_context("forkserver")
    for point, expected in (("budget.reserved", 0), ("", 6_000)):
        child = processes.Process(target=_reserve_and_die, args=(dsn, point))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        assert budget.use("c1").used == expected


def test_failures_are_counted_by_age_and_kind(budget: TokenBudget, warehouse: Any) -> None:
    window = timedelta(minutes=10)
    for outcome in ("failed: overloaded", "failed: HTTP 500"):
        budget.release(budget.reserve(ask(), model=HAIKU, tokens=10), outcome=outcome)
    budget.leave(budget.reserve(ask(), model=HAIKU, tokens=10), outcome="failed: no answer within 45 s")
    budget.release(budget.reserve(ask(), model=HAIKU, tokens=10), outcome="refused: bad request")
    budget.spend(budget.reserve(ask(), model=HAIKU, tokens=10), Usage(input_tokens=1))
    budget.reserve(ask(), model=HAIKU, tokens=10)
    assert budget.recent_failures(window) == 3
    with warehouse() as conn:
        conn.execute("update ops.token_ledger set created_at = now() - interval '11 minutes' where id % 2 = 0")
    assert budget.recent_failures(window) == 2


def test_a_batch_costs_its_share_of_the_list_price(budget: TokenBudget, warehouse: Any) -> None:
    usage = Usage(
        input_tokens=1_000, output_tokens=200, cache_read_tokens=300, cache_write_tokens=400, batch=True
    )  # 0.00253 dollars one by one
    assert budget.spend(budget.reserve(ask(), model=HAIKU, tokens=5_000), usage) == Decimal("0.001265")
    with warehouse() as conn:
        rows = conn.execute("select batch, cost_usd, task from ops.token_ledger").fetchall()
    assert rows == [(True, Decimal("0.001265"), "write")]


def test_an_old_reservation_makes_room_by_itself(budget: TokenBudget, warehouse: Any) -> None:
    budget.reserve(ask(), model=HAIKU, tokens=20_000)
    with pytest.raises(BudgetExceededError):
        budget.reserve(ask(), model=HAIKU, tokens=1)
    with warehouse() as conn:
        conn.execute("update ops.token_ledger set created_at = now() - interval '61 minutes'")
    assert budget.reserve(ask(), model=HAIKU, tokens=20_000).fleet_used == 20_000

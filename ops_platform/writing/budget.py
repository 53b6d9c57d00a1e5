"""Tokens are reserved before they are spent: the bound of the fleet, of each bot, of each purpose.

Belongs here: `ops.token_ledger` - reserving, settling, what a cycle has used, what calls failed lately.
Does not belong here: calling a model (`claude.py`), what to do when there is nothing left (`compose.py`), what was
had for the money (`costs.py`).

A bound is on a *cycle*: whatever the caller names so, usually a morning. What counts against it is every
token a model read or wrote, cached or not; a reservation counts whole until it is settled, and one whose
process died, or whose call ended without an answer, goes on counting until it is an hour old.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.failpoints import failpoint
from ops_platform.failures import ConfigurationError, OpsError

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet.model import Fleet
    from ops_platform.fleet.models import ModelPrice, Task
    from ops_platform.writing.batches import Batches, BatchModel

Connect = Callable[[], "psycopg.Connection[Any]"]

ALERT_SHARE = Decimal("0.8")
ABANDONED_AFTER = timedelta(hours=1)
# How long the vendor keeps a prompt it was asked to keep, from each reading anew.
KEPT_FOR = timedelta(minutes=5)
FEW_CALLS = 8
_CYCLE_LOCK = 4173
_MILLION = Decimal(1_000_000)
_COUNTED = """case state when 'reserved' then reserved_tokens when 'released' then 0
              else input_tokens + output_tokens + cache_read_tokens + cache_write_tokens end"""


class BudgetExceededError(OpsError):
    """A reservation that does not fit. Nothing was reserved and nothing may be spent."""

    def __init__(self, bound: str, *, asked: int, used: int, limit: int) -> None:
        super().__init__(
            f"the token budget of {bound} is {limit:,}: {used:,} are taken and {asked:,} more were asked for"
        )
        self.bound = bound
        self.asked = asked
        self.used = used
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the vendor counted them; `input_tokens` is the part that was not cached. `batch` where the
    vendor served it in a batch."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    batch: bool = False

    @property
    def total(self) -> int:
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def cost(self, price: ModelPrice) -> Decimal:
        """US dollars at list price; in a batch at its share of it."""
        listed = (
            self.input_tokens * price.input
            + self.output_tokens * price.output
            + self.cache_read_tokens * price.cache_read
            + self.cache_write_tokens * price.cache_write
        ) / _MILLION
        return listed * price.batch if self.batch else listed


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens put aside for one call. `fleet_used` includes them; `alert` is true from 80 % of the fleet's bound;
    `settled` where it is known what became of them."""

    id: int
    bot: str
    cycle: str
    purpose: str
    model: str
    tokens: int
    fleet_used: int
    fleet_limit: int
    settled: bool = False

    @property
    def alert(self) -> bool:
        return self.fleet_used >= ALERT_SHARE * self.fleet_limit


@dataclass(frozen=True, slots=True)
class CycleUse:
    """What a cycle has taken so far, of how much. `unsettled` reservations are in `used` and have no outcome."""

    cycle: str
    used: int
    limit: int
    by_bot: dict[str, int]
    unsettled: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Allowance:
    """Who asks, for what, on whose account: the names a reservation is counted under, and the purpose's bound.
    `purpose` is the job, `task` what the model does in it."""

    bot: str
    cycle: str
    purpose: str
    tier: str
    limit: int | None = None
    task: Task = "write"


class TokenBudget:
    """The bounds and the ledger. Every call opens a short connection of its own: what is reserved stays
    reserved whatever becomes of the caller's transaction."""

    def __init__(
        self,
        connect: Connect,
        *,
        fleet_limit: int = 20_000,
        bot_limits: dict[str, int] | None = None,
        prices: dict[str, ModelPrice] | None = None,
    ) -> None:
        self._connect = connect
        self.fleet_limit = fleet_limit
        self.bot_limits = dict(bot_limits or {})
        self.prices = dict(prices or {})

    @classmethod
    def of(cls, fleet: Fleet, connect: Connect) -> TokenBudget:
        """The budget `fleet.yaml` declares."""
        return cls(
            connect,
            fleet_limit=fleet.budget.tokens_per_cycle,
            bot_limits={name: bot.token_budget for name, bot in fleet.bots.items()},
            prices=fleet.models.prices,
        )

    def reserve(self, allowance: Allowance, *, model: str, tokens: int, prompt: str | None = None) -> Reservation:
        """Put `tokens` aside, or raise `BudgetExceededError` naming the bound that is too small. `prompt` names the
        part that the call shares with others.

        Reservations of a cycle are decided one at a time, so that no two can take the same last tokens.
        Raises `ConfigurationError` for a bot without a budget and for a model without a list price: what
        cannot be bounded or accounted for is not spent."""
        if allowance.bot not in self.bot_limits:
            raise ConfigurationError(f"The bot {allowance.bot!r} has no token budget in fleet.yaml.")
        if model not in self.prices:
            raise ConfigurationError(f"The model {model!r} has no list price in fleet.yaml.")
        if tokens <= 0:
            raise ValueError(f"a reservation of {tokens} tokens reserves nothing")
        with self._connect() as conn, conn.transaction():
            conn.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", (_CYCLE_LOCK, allowance.cycle))
            _free_abandoned(conn, ABANDONED_AFTER)
            row = conn.execute(
                f"""select coalesce(sum({_COUNTED}), 0),
                    coalesce(sum({_COUNTED}) filter (where bot = %(bot)s), 0),
                    coalesce(sum({_COUNTED}) filter (where bot = %(bot)s and purpose = %(purpose)s), 0)
                    from ops.token_ledger where cycle = %(cycle)s""".encode(),
                {"bot": allowance.bot, "purpose": allowance.purpose, "cycle": allowance.cycle},
            ).fetchone()
            fleet, bot, purpose = (int(value) for value in row or (0, 0, 0))
            for bound, used, limit in (
                ("the fleet", fleet, self.fleet_limit),
                (f"the bot {allowance.bot}", bot, self.bot_limits[allowance.bot]),
                (f"the job {allowance.purpose}", purpose, allowance.limit),
            ):
                if limit is not None and used + tokens > limit:
                    raise BudgetExceededError(bound, asked=tokens, used=used, limit=limit)
            inserted = conn.execute(
                """insert into ops.token_ledger
                   (bot, cycle, purpose, model, tier, task, state, reserved_tokens, created_at, prompt)
                   values (%s, %s, %s, %s, %s, %s, 'reserved', %s, %s, %s) returning id""",
                (
                    allowance.bot,
                    allowance.cycle,
                    allowance.purpose,
                    model,
                    allowance.tier,
                    allowance.task,
                    tokens,
                    wall_clock(),
                    prompt,
                ),
            ).fetchone()
            assert inserted is not None
            failpoint("budget.reserved")
        return Reservation(
            id=int(inserted[0]),
            bot=allowance.bot,
            cycle=allowance.cycle,
            purpose=allowance.purpose,
            model=model,
            tokens=tokens,
            fleet_used=fleet + tokens,
            fleet_limit=self.fleet_limit,
        )

    def reservation(self, ledger_id: int) -> Reservation:
        """A reservation made before, by whomever."""
        with self._connect() as conn:
            row = conn.execute(
                "select bot, cycle, purpose, model, reserved_tokens, state from ops.token_ledger where id = %s",
                (ledger_id,),
            ).fetchone()
        if row is None:
            raise OpsError(f"there is no reservation {ledger_id}")
        *names, tokens, state = row
        bot, cycle, purpose, model = names
        return Reservation(ledger_id, bot, cycle, purpose, model, tokens, 0, self.fleet_limit, settled=state == "spent")

    def read_again(self, model: str, prompt: str) -> Decimal | None:
        """How often, in the last 30 days, a call that began with `prompt` and came after a pause had another after it
        while the vendor would still have kept it: calls that read it per call that wrote it; None where too few calls
        were made to tell."""
        with self._connect() as conn:
            row = conn.execute(
                """with calls as (
                    select created_at - lag(created_at) over (order by created_at, id) as pause
                    from ops.token_ledger where model = %s and prompt = %s and created_at > %s and not batch
                )
                select count(*) filter (where pause is null or pause > %s), count(*) filter (where pause <= %s)
                from calls""",
                (model, prompt, wall_clock() - timedelta(days=30), KEPT_FOR, KEPT_FOR),
            ).fetchone()
        wrote, read = row or (0, 0)
        return Decimal(read) / wrote if wrote >= FEW_CALLS else None

    def pays_from(self, model: str) -> Decimal:
        """How often a kept prompt must be read again to cost less than reading it anew each time."""
        price = self.prices[model]
        saved = price.input - price.cache_read
        return (price.cache_write - price.input) / saved if saved > 0 else Decimal("Infinity")

    def spend(self, reservation: Reservation, usage: Usage, *, outcome: str = "ok") -> Decimal:
        """Settle with what the vendor counted; returns the cost in US dollars. What was reserved and not used
        is free again; what was used beyond it counts all the same, since it was used."""
        cost = usage.cost(self.prices[reservation.model])
        self._settle(
            reservation,
            """state = 'spent', outcome = %(outcome)s, input_tokens = %(input)s, output_tokens = %(output)s,
               cache_read_tokens = %(read)s, cache_write_tokens = %(write)s, cost_usd = %(cost)s,
               batch = %(batch)s, settled_at = %(now)s""",
            {
                "outcome": outcome,
                "input": usage.input_tokens,
                "output": usage.output_tokens,
                "read": usage.cache_read_tokens,
                "write": usage.cache_write_tokens,
                "cost": cost,
                "batch": usage.batch,
            },
        )
        return cost

    def release(self, reservation: Reservation, *, outcome: str) -> None:
        """Settle with nothing: the call was refused or never made, so nothing was used."""
        self._settle(
            reservation, "state = 'released', outcome = %(outcome)s, settled_at = %(now)s", {"outcome": outcome}
        )

    def leave(self, reservation: Reservation, *, outcome: str) -> None:
        """Note that the call ended without an answer. It may have been served, so it goes on counting."""
        self._settle(reservation, "outcome = %(outcome)s", {"outcome": outcome})

    def batches(self, model: BatchModel, wait_seconds: float) -> Batches:
        """Batches whose calls are reserved here."""
        from ops_platform.writing.batches import Batches

        return Batches(model, self._connect, self, wait_seconds=wait_seconds)

    def release_abandoned(self, older_than: timedelta = ABANDONED_AFTER) -> int:
        """Free the reservations nobody settled for so long; returns how many. They keep what is known of them.

        Every `reserve` does so too."""
        with self._connect() as conn, conn.transaction():
            return _free_abandoned(conn, older_than)

    def use(self, cycle: str) -> CycleUse:
        """What `cycle` has taken so far."""
        with self._connect() as conn:
            rows = conn.execute(
                f"""select bot, sum({_COUNTED}), count(*) filter (where state = 'reserved'), sum(cost_usd)
                    from ops.token_ledger where cycle = %s group by bot order by bot""".encode(),
                (cycle,),
            ).fetchall()
        return CycleUse(
            cycle=cycle,
            used=sum(int(row[1]) for row in rows),
            limit=self.fleet_limit,
            by_bot={row[0]: int(row[1]) for row in rows},
            unsettled=sum(int(row[2]) for row in rows),
            cost_usd=sum((row[3] for row in rows), Decimal(0)),
        )

    def taken(self, ledger_ids: list[int]) -> tuple[int, Decimal]:
        """Tokens and US dollars of these calls; what has no outcome yet counts as it was reserved, at no price."""
        with self._connect() as conn:
            row = conn.execute(
                f"""select coalesce(sum({_COUNTED}), 0), coalesce(sum(cost_usd), 0) from ops.token_ledger
                    where id = any(%s)""".encode(),
                (ledger_ids,),
            ).fetchone()
        tokens, cost = row or (0, Decimal(0))
        return int(tokens), Decimal(cost)

    def taken_by(self, cycle: str, purposes: str) -> int:
        """Tokens that purposes beginning with `purposes` have taken in the cycle, reservations included."""
        with self._connect() as conn:
            row = conn.execute(
                f"""select coalesce(sum({_COUNTED}), 0) from ops.token_ledger
                    where cycle = %s and starts_with(purpose, %s)""".encode(),
                (cycle, purposes),
            ).fetchone()
        return int(row[0]) if row else 0

    def recent_failures(self, window: timedelta) -> int:
        """Calls in the last `window` that the vendor failed to serve, to whatever bot. A refusal that is our
        own fault or the model's choice is not among them, nor an answer we did not like."""
        with self._connect() as conn:
            row = conn.execute(
                """select count(*) from ops.token_ledger where outcome like 'failed:%%'
                   and coalesce(settled_at, created_at) > %(since)s and created_at > %(since)s""",
                {"since": wall_clock() - window},
            ).fetchone()
        return int(row[0]) if row else 0

    def attach(self, ledger_ids: list[int], document_id: int) -> None:
        """Say which document the calls were for, and whose text it has: the cost of an output is then a query."""
        with self._connect() as conn, conn.transaction():
            attach(conn, ledger_ids, document_id)

    def _settle(self, reservation: Reservation, assignments: str, values: dict[str, Any]) -> None:
        with self._connect() as conn, conn.transaction():
            done = conn.execute(
                f"update ops.token_ledger set {assignments} where id = %(id)s and state <> 'spent'".encode(),
                {**values, "now": wall_clock(), "id": reservation.id},
            )
            if done.rowcount != 1:
                raise OpsError(f"reservation {reservation.id} was settled before: a call is accounted for once")


def attach(conn: psycopg.Connection[Any], ledger_ids: list[int], document_id: int) -> None:
    """`TokenBudget.attach` in the caller's transaction, in which the document may be new."""
    conn.execute(
        """update ops.token_ledger set document_id = documents.id, period_start = documents.period_start,
           written_by = documents.writer
           from ops.documents where documents.id = %s and token_ledger.id = any(%s)""",
        (document_id, ledger_ids),
    )


def _free_abandoned(conn: psycopg.Connection[Any], older_than: timedelta) -> int:
    freed = conn.execute(
        """update ops.token_ledger set state = 'released', settled_at = %(now)s,
           outcome = coalesce(outcome, 'abandoned') where state = 'reserved' and created_at < %(limit)s""",
        {"now": wall_clock(), "limit": wall_clock() - older_than},
    )
    return freed.rowcount


def wall_clock() -> datetime:
    """The machine's clock: a reservation ages in real time even where `OPS_NOW` holds the day still."""
    return datetime.now(UTC)

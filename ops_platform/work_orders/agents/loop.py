"""The conversation in which a model chooses what an answer looks at.

Belongs here: turns, their bound in number, tokens and time, settling each call. Does not belong here: the tools
(`tools.py`), the answer's words (`ops_platform.writing.claude`), the wire (`resources/claude.py`).

It can only add to what the rules chose. Whatever ends it early - no tokens, an outage, nonsense - leaves the choice as
it stands, and the answer is written all the same.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ops_platform.evidence.quoting import minimise
from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from ops_platform.work_orders.agents import asking, scopes, tools
from ops_platform.work_orders.agents.role import AGENT_PURPOSES
from ops_platform.writing.asking import prompt_name
from ops_platform.writing.calling import Calls
from ops_platform.writing.model import Conversation

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.work_orders.agents.asking import Asked
    from ops_platform.work_orders.agents.development import ProposedFile
    from ops_platform.work_orders.agents.model import Order
    from ops_platform.work_orders.agents.role import Agent
    from ops_platform.writing.budget import Allowance, TokenBudget
    from ops_platform.writing.model import LanguageModel, ToolResult, Turn

log = logging.getLogger(__name__)

PROMPT = Path(__file__).parent / "prompt.md"
SECONDS = 90.0
COUNT_SECONDS = 5.0
ANSWER_TOKENS, FILES_TOKENS = 500, 4_000
CALLS_A_TURN = 6
TITLE_LENGTH, BODY_LENGTH = 200, 1_500
#: What is kept of the order's tokens for writing the answer.
FOR_WRITING = 3_500


@dataclass(frozen=True, slots=True)
class Chosen:
    """What came of it. `used` names the tools that were carried out, `ended` says in our words why it ended."""

    asked: Asked
    files: tuple[ProposedFile, ...]
    used: tuple[str, ...]
    tokens: int
    ledger_ids: tuple[int, ...]
    ended: str


def choose(
    work: Order,
    agent: Agent,
    connection: psycopg.Connection[Any],
    asked: Asked,
    model: LanguageModel,
    budget: TokenBudget,
    allowance: Allowance,
    fleet: Fleet,
    now: datetime,
) -> Chosen:
    """Let the model add to `asked`. Never raises what a model or its vendor does."""
    looking = tools.Looking(connection, agent, work, fleet, now, _definitions(connection, agent), asked)
    offered = tools.offered(agent, looking.definitions)
    talk = _Talk(looking, offered, model, budget, allowance, fleet)
    if not offered or not agent.turns:
        return talk.chosen("it has no tools")
    try:
        ended = talk.go()
    except OpsError as error:
        ended = str(error)
    except Exception as error:  # a defect in the model's path must not cost the answer
        log.exception("choosing failed in an unforeseen way")
        ended = f"it failed in an unforeseen way ({type(error).__name__})"
        connection.rollback()
    log.info("%s looked with %s: %s", agent.label, ", ".join(talk.used) or "nothing", ended)
    return talk.chosen(ended)


class _Talk:
    def __init__(
        self,
        looking: tools.Looking,
        offered: tuple[Any, ...],
        model: LanguageModel,
        budget: TokenBudget,
        allowance: Allowance,
        fleet: Fleet,
    ) -> None:
        self.looking, self.offered, self.model, self.budget = looking, offered, model, budget
        self.allowance, self.for_agents = allowance, fleet.budget.tokens_for_agents
        self.model_id = fleet.models.tiers[fleet.models.tasks[looking.agent.task]]
        self.calls = Calls(budget, allowance, model_id=self.model_id, seconds=SECONDS)
        self.system = PROMPT.read_text(encoding="utf-8")
        self.user = question(looking)
        self.used: list[str] = []
        self.ledger_ids: list[int] = []
        self.tokens = 0

    def go(self) -> str:
        turns: list[tuple[Turn, tuple[ToolResult, ...]]] = []
        agent = self.looking.agent
        longest = FILES_TOKENS if "propose_files" in agent.tools else ANSWER_TOKENS
        for _ in range(agent.turns):
            request = Conversation(
                self.model_id, self.system, self.user, self.offered, tuple(turns), max_tokens=longest
            )  # fmt: skip
            tokens = self.needed(request)
            left = self.left() - FOR_WRITING
            if tokens > left:
                return (
                    f"{agent.label} has {max(left, 0):,} of its tokens for this order left, and a turn needs {tokens:,}"
                )
            turn = self.ask(request, tokens)
            if not turn.finished:
                return f"its turn was not finished: {turn.stopped}"
            if not turn.calls:
                return "it was done"
            turns.append((turn, tuple(self.carry_out(place, call) for place, call in enumerate(turn.calls))))
        return f"it had its {agent.turns} turns"

    def left(self) -> int:
        """Tokens left for this order, of its own bound, its bot's, the agents' and the fleet's."""
        use = self.budget.use(self.allowance.cycle)
        bot = self.budget.bot_limits.get(self.allowance.bot, 0) - use.by_bot.get(self.allowance.bot, 0)
        agents = self.for_agents - self.budget.taken_by(self.allowance.cycle, AGENT_PURPOSES)
        return min(self.looking.agent.tokens - self.tokens, bot, agents, use.limit - use.used)

    def ask(self, request: Conversation, tokens: int) -> Turn:
        reservation, turn = self.calls.make(
            lambda seconds: self.model.converse(request, timeout=seconds), tokens, prompt_name(self.system)
        )
        self.ledger_ids.append(reservation.id)
        outcome = "ok" if turn.finished else f"unusable: {turn.stopped}"
        if turn.usage is None:
            self.tokens += tokens
            self.budget.leave(reservation, outcome=f"{outcome}; the vendor's count is missing")
        else:
            self.tokens += turn.usage.total
            self.budget.spend(reservation, turn.usage, outcome=outcome)
        return turn

    def carry_out(self, place: int, call: Any) -> ToolResult:
        """Every call has its result, also one too many."""
        if place >= CALLS_A_TURN:
            from ops_platform.writing.model import ToolResult

            return ToolResult(call.id, f"at most {CALLS_A_TURN} calls in a turn", failed=True)
        result = tools.run(call, self.looking, self.offered)
        if not result.failed:
            self.used.append(call.name)
        return result

    def needed(self, request: Conversation) -> int:
        self.calls.begin()
        size = (
            len(request.system.encode())
            + len(request.user.encode())
            + len(orjson.dumps([t.schema for t in self.offered]))
        )
        size += sum(
            len(orjson.dumps([*turn.content, *(one.content for one in results)])) for turn, results in request.turns
        )
        estimate = size * 2 // 5 + 64
        try:
            counted = self.model.count_conversation(request, timeout=min(COUNT_SECONDS, self.calls.left()))
        except (TransientFailure, PermanentFailure) as error:
            log.info("counting tokens failed (%s): estimating instead", error)
            counted = estimate
        # A count that is impossibly low would reserve less than the call can cost.
        return max(counted, estimate // 3) + request.max_tokens

    def chosen(self, ended: str) -> Chosen:
        return Chosen(
            self.looking.asked, self.looking.files, tuple(self.used), self.tokens, tuple(self.ledger_ids), ended
        )  # fmt: skip


def question(looking: tools.Looking) -> str:
    """What the model is shown first: one JSON object, the stranger's words minimised and marked."""
    agent, asked = looking.agent, looking.asked
    content: dict[str, Any] = {
        "agent": {"name": agent.label, "answers_for": agent.description},
        "question": {
            "untrusted": {
                "title": minimise(looking.order.title, TITLE_LENGTH),
                "body": minimise(looking.order.body[: BODY_LENGTH * 4], BODY_LENGTH),
            }
        },
        "shown": {
            "figures": agent.report.metrics() if agent.report is not None else [],
            "lists": list(agent.shown()),
            "readings": list(agent.scope.readings),
        },
        "chosen": {"over": asked.span.label, "metrics": list(asked.metrics), "lists": list(asked.lists)},
    }
    if "propose_files" in agent.tools:
        content["example_path"] = f"docs/proposals/work-{looking.order.number}.md"
    return orjson.dumps(content).decode()


def _definitions(connection: psycopg.Connection[Any], agent: Agent) -> dict[str, asking.Definition]:
    """The metrics the agent may read, by id."""
    with connection.transaction():
        if connection.execute("select to_regclass('metrics.dim_metric')").fetchone() == (None,):
            return {}
        own = set(scopes.metrics_of(connection, agent))
        rows = connection.execute("select metric_id, label, coalesce(division, '') from metrics.dim_metric")
        return {row[0]: asking.Definition(*row) for row in rows if row[0] in own}

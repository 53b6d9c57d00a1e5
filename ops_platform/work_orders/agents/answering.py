"""One answer to one work order, from the evidence to what is proposed.

Belongs here: the order of the steps: read within the agent's scope, let the model choose what else to look at, write,
prove, judge by the contract, keep. Does not belong here: any one of them (the modules beside this), posting
(`effects`).

No step holds a transaction while a model is asked. The model sees what a reader would see and returns choices among
names, claim tokens and, for development agents, texts of files: each is checked by code before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.failures import DataFailure
from ops_platform.work_orders.agents import artefacts, asking, contract, development, evidence, scopes
from ops_platform.work_orders.agents.model import Answer, GivenOrder
from ops_platform.work_orders.agents.role import AGENT_PURPOSES
from ops_platform.writing.claude import storable

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.evidence.model import Bundle
    from ops_platform.fleet import Fleet
    from ops_platform.work_orders.agents.asking import Asked
    from ops_platform.work_orders.agents.model import Artefact, Order
    from ops_platform.work_orders.agents.role import Agent
    from ops_platform.work_orders.staged import StagedEffect
    from ops_platform.writing.budget import Allowance, TokenBudget
    from ops_platform.writing.compose import Written
    from ops_platform.writing.model import LanguageModel

CITED = 2
NO_MODEL = "no model is connected"
_METRICS = "select metric_id, label, coalesce(division, '') from metrics.dim_metric order by metric_id"


def answer(
    work: Order,
    agent: Agent,
    connection: psycopg.Connection[Any],
    model: LanguageModel | None,
    *,
    why_not: str = NO_MODEL,
    as_of: datetime | None = None,
    keep: bool = True,
    ledger: Callable[[], psycopg.Connection[Any]] | None = None,
) -> Answer:
    """The agent's answer to `work`. Without a `model` (`why_not` says why) rules write it, and say so.

    `connection` has no open transaction. The bundle and the document are stored in one that is left open for the caller
    to commit (`keep=False`: nothing is stored). `ledger` opens connections for the token ledger, by default to the
    warehouse. Raises `OpsError` kinds: a transient one may be tried again, a configuration one names what to mend."""
    from psycopg.pq import TransactionStatus

    from ops_platform.fleet import get_fleet

    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise DataFailure("an answer needs a connection without an open transaction: it reads as another role")
    work = given_by(work)
    fleet, now = get_fleet(), as_of or clock.now()
    scopes.ensure(connection, agent)
    connection.commit()
    asked = _asked(connection, agent, work, fleet, now)
    for number in _published(connection, agent, work, fleet, now, asked):
        asked = asked.with_document(number)
    budget, allowance = _account(agent, work, fleet, now, ledger)
    if model is not None and budget.taken_by(allowance.cycle, AGENT_PURPOSES) >= fleet.budget.tokens_for_agents:
        model, why_not = None, "the agents' tokens of the day are taken"
    chosen = None
    if model is not None and agent.tokens:
        from ops_platform.work_orders.agents import loop

        chosen = loop.choose(work, agent, connection, asked, model, budget, allowance, fleet, now)
        asked = chosen.asked
    gathered = evidence.gather(connection, agent, work, asked, fleet, now)
    made = artefacts.sheets(gathered.sheets, work.number)
    plan = development.plan(agent, work, gathered.bundle, chosen.files if chosen is not None else ())
    bundle = _whole(gathered.bundle, made, plan)
    written = _write(bundle, agent, model, why_not, budget, allowance, fleet, chosen.tokens if chosen else 0)
    return _finished(
        work, agent, connection, bundle, written, (*(each for each, _ in made), *plan.artefacts), plan.effects,
        chosen.tokens if chosen is not None else 0, (*(chosen.ledger_ids if chosen else ()), *written.ledger_ids),
        budget, keep=keep, used=chosen.used if chosen is not None else (),
    )  # fmt: skip


def given_by(work: Order) -> GivenOrder:
    """The order with its words as the database can hold them: no NUL, no half of a character."""
    return GivenOrder(
        number=work.number, title=storable(work.title), body=storable(work.body),
        labels=tuple(storable(label) for label in work.labels), priority=str(work.priority),
        repository=storable(work.repository), id=work.id,
    )  # fmt: skip


def _asked(connection: psycopg.Connection[Any], agent: Agent, work: Order, fleet: Fleet, now: datetime) -> Asked:
    """What the order's words mean, without a model."""
    with connection.transaction():
        has = connection.execute("select to_regclass('metrics.dim_metric') is not null").fetchone() == (True,)
        definitions = [asking.Definition(*row) for row in connection.execute(_METRICS)] if has else []
        own = scopes.metrics_of(connection, agent) if has else []
    today = clock.business_day(now, fleet.company.timezone)
    return asking.asked_by(work, today, definitions, own, agent.listings(), agent.shown())


def _published(
    connection: psycopg.Connection[Any], agent: Agent, work: Order, fleet: Fleet, now: datetime, asked: Asked
) -> list[int]:
    """Documents that were published about what was asked, the newest first."""
    from ops_platform.work_orders.agents import tools

    if not agent.scope.documents:
        return []
    looking = tools.Looking(connection, agent, work, fleet, now, {}, asked)
    return [number for number, _, _ in tools.search(looking, work.title[:200])[:CITED]]


def _account(
    agent: Agent, work: Order, fleet: Fleet, now: datetime, ledger: Callable[[], psycopg.Connection[Any]] | None
) -> tuple[TokenBudget, Allowance]:
    """On whose account tokens are spent: the day's cycle, the agent's bot, at most so many a day by this agent."""
    from ops_platform.database.connection import connect
    from ops_platform.writing.budget import Allowance, TokenBudget

    day = clock.business_day(now, fleet.company.timezone)
    tier = fleet.models.tasks[agent.task]
    allowance = Allowance(
        bot=agent.bot, cycle=day.isoformat(), purpose=agent.purpose, tier=tier, task=agent.task,
        limit=agent.tokens_a_day or None,
    )  # fmt: skip
    return TokenBudget.of(fleet, ledger or connect), allowance


def _whole(bundle: Bundle, made: tuple[Any, ...], plan: development.Plan) -> Bundle:
    """The bundle with what is handed over beside it, and what was asked put first for the writer."""
    from ops_platform.evidence.model import Row
    from ops_platform.writing.briefs.work_answer import told

    lists = dict(bundle.lists)
    rows = (*(row for _, row in made), *plan.rows)
    if rows:
        lists["artefacts"] = rows
    lists |= plan.lists
    bundle = replace(bundle, lists=lists, facts=(*bundle.facts, *plan.facts))
    leads = told(bundle)
    title = bundle.rows("order")[0].texts.get("title", "")
    if leads and title:
        bundle = replace(bundle, lists={"question": (Row({"asked": title}, {"figure": leads[0]}),), **bundle.lists})
    return bundle


def _write(
    bundle: Bundle,
    agent: Agent,
    model: LanguageModel | None,
    why_not: str,
    budget: TokenBudget,
    allowance: Allowance,
    fleet: Fleet,
    taken: int,
) -> Written:
    from ops_platform.writing import compose as composing
    from ops_platform.writing.briefs import brief_for
    from ops_platform.writing.claude import ClaudeWriter
    from ops_platform.writing.rules import RulesWriter

    claude = None
    if not agent.tokens:
        model, why_not = None, f"{agent.label} has no tokens"
    elif model is not None and taken >= agent.tokens:
        model, why_not = None, f"{agent.label} used its tokens for this order while it gathered"
    if model is not None:
        claude = ClaudeWriter(model, budget, allowance, model_id=fleet.models.tiers[fleet.models.tasks[agent.task]])
    return composing.write(bundle, brief_for(bundle), rules=RulesWriter(), claude=claude, why_not=why_not)


def _finished(
    work: Order,
    agent: Agent,
    connection: psycopg.Connection[Any],
    bundle: Bundle,
    written: Written,
    files: tuple[Artefact, ...],
    proposed: tuple[StagedEffect, ...],
    gathering_tokens: int,
    ledger_ids: tuple[int, ...],
    budget: TokenBudget,
    *,
    keep: bool,
    used: tuple[str, ...],
) -> Answer:
    """The document, judged, with what it proposes; kept where asked."""
    from ops_platform.documents import markdown
    from ops_platform.documents.kinds import compose
    from ops_platform.evidence.store import save_bundle
    from ops_platform.work_orders import effects
    from ops_platform.writing.archive import store_written
    from ops_platform.writing.budget import attach

    document = compose(bundle, written.draft)
    # GitHub's own small print is HTML, which no comment of ours carries.
    text = markdown.render(document).replace("<sub>", "").replace("</sub>", "")
    lacking = contract.missing(agent, bundle, written.draft, text, files, proposed)
    number = None
    if keep:
        save_bundle(connection, bundle)
        number = store_written(connection, evidence.KIND, bundle, document, written)
        attach(connection, list(ledger_ids), number)
    handed = tuple(
        effects.artefact(f"artefact:{place}", each.name, each.content, media_type=each.media_type)
        for place, each in enumerate(files, 1)
    )
    tokens, cost = _taken(budget, ledger_ids, gathering_tokens, written)
    return Answer(
        document=document, bundle=bundle, artefacts=files,
        text=text,
        effects=tuple(each for each in (*handed, *proposed) if each.kind in agent.effects.kinds),
        tokens=tokens, cost=cost, complete=not lacking, reason="; ".join(lacking), note=written.note,
        document_id=number, used=used,
    )  # fmt: skip


def _taken(budget: TokenBudget, ledger_ids: tuple[int, ...], gathering: int, written: Written) -> tuple[int, Decimal]:
    """Tokens and money of the calls, as the ledger has them."""
    if not ledger_ids:
        return gathering + (written.draft.tokens or 0), Decimal(0)
    return budget.taken(list(ledger_ids))

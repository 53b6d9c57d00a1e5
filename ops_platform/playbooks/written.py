"""Reports of playbooks, written by the proven-number writer on a role's account.

Belongs here: from a bundle to a stored document, within a role's tier and tokens. Does not belong here: what is in the
bundle (`reporting.py`), how a writer works (`ops_platform.writing`), the model's wire (given as `ModelOf`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops_platform.writing import compose as composing

if TYPE_CHECKING:
    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle
    from ops_platform.fleet import Fleet
    from ops_platform.fleet.roles import Role
    from ops_platform.playbooks.tools import StepContext
    from ops_platform.writing.model import LanguageModel

#: The model that is connected; None where none is, with why not.
ModelOf = Callable[[], tuple["LanguageModel | None", str]]
REHEARSED = "a rehearsal spends no token"


@dataclass(frozen=True, slots=True)
class Report:
    """A stored report. `headline` is its line for a notification."""

    document_id: int
    document: Document
    headline: str
    note: str
    tokens: int


def write_report(
    bundle: Bundle, context: StepContext, fleet: Fleet, role: str, model_of: ModelOf
) -> Report:  # fmt: skip
    """Write, check and store the report of `bundle`, in the step's transaction; the tokens are counted whatever becomes
    of it. A role without a budget, a rehearsal, a model that is away: rules write."""
    from ops_platform.documents.kinds import compose
    from ops_platform.documents.model import plain
    from ops_platform.evidence.store import save_bundle
    from ops_platform.writing.archive import store_written
    from ops_platform.writing.briefs import brief_for
    from ops_platform.writing.budget import Allowance, TokenBudget, attach
    from ops_platform.writing.claude import ClaudeWriter
    from ops_platform.writing.rules import RulesWriter

    entry: Role = fleet.roles[role]
    budget = TokenBudget.of(fleet, context.connect)
    claude, why_not = None, REHEARSED
    if not context.dry_run and not entry.token_budget:
        why_not = f"{entry.label} has no tokens"
    elif not context.dry_run:
        model, why_not = model_of()
        if model is not None:
            tier = fleet.models.tasks[entry.task]
            allowance = Allowance(
                bot=entry.bot, cycle=context.today.isoformat(), purpose=f"role:{role}", tier=tier, task=entry.task,
                limit=entry.token_budget,
            )  # fmt: skip
            claude = ClaudeWriter(model, budget, allowance, model_id=fleet.models.tiers[tier])
    written = composing.write(bundle, brief_for(bundle), rules=RulesWriter(), claude=claude, why_not=why_not)
    document = compose(bundle, written.draft)
    tokens = claude.tokens if claude is not None else 0
    if tokens:
        context.spend(tokens)
    save_bundle(context.connection, bundle)
    number = store_written(context.connection, context.playbook, bundle, document, written)
    attach(context.connection, list(written.ledger_ids), number)
    return Report(number, document, plain(document.summary), written.note, tokens)

"""Whether an answer is one: the output contract of its role, judged by code on what was made.

Belongs here: each part a contract may ask for and how it is seen. Does not belong here: the contract (`role.Output`),
what becomes of an order whose answer is not complete (`work_orders.processing`).

A failure is never called done: where a part is missing or nothing of it is known, the answer is posted for what it is
worth and the order stays open with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops_platform.work_orders.agents.development import NOTES

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle
    from ops_platform.work_orders.agents.model import Artefact
    from ops_platform.work_orders.agents.role import Agent
    from ops_platform.work_orders.staged import StagedEffect
    from ops_platform.writing.draft import Draft


def missing(
    agent: Agent,
    bundle: Bundle,
    draft: Draft,
    text: str,
    artefacts: tuple[Artefact, ...],
    effects: tuple[StagedEffect, ...],
) -> list[str]:
    """What the contract asks for and the answer does not have, in our words; nothing where it holds. `text` is the
    answer as it will be posted."""
    return list(_missing(agent, bundle, draft, text, artefacts, effects))


def _missing(
    agent: Agent,
    bundle: Bundle,
    draft: Draft,
    text: str,
    artefacts: tuple[Artefact, ...],
    effects: tuple[StagedEffect, ...],
) -> Iterator[str]:
    owed = agent.output
    for part in owed.must:
        if part == "lead" and not draft.slots.get("lead"):
            yield "nothing it could answer with is known"
        elif part == "figures" and not _figures_known(bundle):
            yield "none of its figures is known"
        elif part == "checks" and bundle.rows("checks") and all(row.mark == "unknown" for row in bundle.rows("checks")):
            yield "none of its verdicts could be reached"
        elif part == "lists":
            names = [row.texts["list"] for row in bundle.rows("sections") if "list" in row.texts]
            unknown = [name for name in names if not bundle.fact(f"{name}_count").known]
            if names and len(unknown) == len(names):
                yield "none of its lists could be read"
        elif part == "readings":
            yield from _readings(agent, bundle)
        elif part == "design" and not bundle.rows("design"):
            yield "it has no plan"
        elif part == "files" and not _code(effects):
            yield "no code was written: that needs a model or a person"
    if owed.known and not any((fact := bundle.get(name)) is not None and fact.known for name in owed.known):
        yield f"not known: {', '.join(name.replace('_', ' ') for name in owed.known)}"
    for row in bundle.rows("asked"):
        fact = bundle.fact(row.facts["figure"])
        if not fact.known:
            yield f"{fact.label.lower()} was asked about and is not known"
    if len(text) > owed.most_characters:
        yield f"it has {len(text):,} characters, of {owed.most_characters:,} allowed"


def _code(effects: tuple[StagedEffect, ...]) -> bool:
    """Whether a file is proposed that is more than a note."""
    return any(effect.kind == "file" and not str(effect.payload["path"]).startswith(NOTES) for effect in effects)


def _figures_known(bundle: Bundle) -> bool:
    names = [section.facts[key] for section in bundle.rows("sections") for key in section.facts]
    names += [row.facts["figure"] for row in bundle.rows("asked")]
    names += [
        row.facts["figure"]
        for head in bundle.rows("readings")
        for row in bundle.rows(f"reading_figures_{head.texts['name']}")
    ]
    return any(bundle.fact(name).known for name in names)


def _readings(agent: Agent, bundle: Bundle) -> Iterator[str]:
    for head in bundle.rows("readings"):
        figures = [bundle.fact(row.facts["figure"]) for row in bundle.rows(f"reading_figures_{head.texts['name']}")]
        if figures and not any(fact.known for fact in figures):
            yield f"nothing is known of {head.texts['title'].lower()}"

"""The mutation suite: true documents made false in every way, and how many of them get past what stands in the way.

    python -m tests.writing.mutations                  30 bundles of each kind, every operator
    python -m tests.writing.mutations --bundles 5 --each 10 --published 4

Belongs here: making the mutants, holding each against the gate, the table. Does not belong here: the operators
(`mutation_text.py`, `mutation_evidence.py`), the evidence (`corpora.py`).

A text mutant is caught when `writing.claims.check_text` refuses it.

What becomes of false evidence is read off the document that is published of it, never off the gate. It is altered at
two moments. *Stored*: what lies in the database is no longer what was put there; whatever is published then must be the
true document, word for word. *Built*: the builder itself is wrong, and seals what it made; the document that is
published of it is read by `proof.py` against the figures of the true evidence, and must show none that is not theirs
(that a figure is withheld is no lie). A mutation that changes no word a reader sees is not counted, but told.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from ops_platform.documents import markdown
from ops_platform.documents.kinds import base_of, compose
from ops_platform.documents.model import Claim, Document, spans_of
from ops_platform.evidence.encoding import canonical
from ops_platform.evidence.model import Bundle, Fact
from ops_platform.evidence.store import verified
from ops_platform.failures import DataFailure
from ops_platform.writing.asking import request_text
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import check_text
from ops_platform.writing.draft import Slot
from ops_platform.writing.rules import RulesWriter
from sandbox.anthropic_api.writer import read_prompt, sentence
from tests.writing.corpora import Built, built, narrative, packs, playbook_report, pulse, work_answer
from tests.writing.mutation_evidence import EVIDENCE
from tests.writing.mutation_text import OPERATORS
from tests.writing.proof import unproven

ANY = Slot("headline", "Anything", max_chars=600, max_sentences=4)
REQUIRED = Decimal("0.99")
KINDS = ("pulse", "narrative", "playbook_report", "work_answer", "board_pack")


@dataclass
class Tally:
    """What was made and what got through, by kind of document and operator."""

    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    through: Counter[tuple[str, str]] = field(default_factory=Counter)
    survivors: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    by: Counter[str] = field(default_factory=Counter)
    seen: set[Any] = field(default_factory=set)

    def count(self, kind: str, operator: str, survivor: str | None) -> None:
        self.made[kind, operator] += 1
        if survivor is not None:
            self.through[kind, operator] += 1
            self.survivors[kind, operator].append(survivor)

    @property
    def total(self) -> int:
        return sum(self.made.values())

    @property
    def caught(self) -> int:
        return self.total - sum(self.through.values())

    def share(self, *, kind: str | None = None, operator: str | None = None) -> Decimal:
        keys = [key for key in self.made if kind in (None, key[0]) and operator in (None, key[1])]
        made = sum(self.made[key] for key in keys)
        return 1 - Decimal(sum(self.through[key] for key in keys)) / made if made else Decimal(1)


def true_texts(bundle: Bundle) -> list[str]:
    """Texts that are true of the bundle and pass the gate: what the rules write and what an honest model does."""
    brief = brief_for(bundle)
    texts = list(RulesWriter().write(bundle, brief).slots.values())
    reading = read_prompt([request_text(bundle, brief)])
    for number, slot in enumerate(brief.slots):
        text = sentence(reading, reading.slot(slot.name), "honest", number)
        if not check_text(text, slot, bundle):
            texts.append(text)
    return list(dict.fromkeys(texts))


def mutate_texts(tally: Tally, bundle: Bundle, dice: random.Random, each: int, texts: list[str]) -> None:
    """Every operator on every true text; of the mutants of one operator on one text at most `each`, by chance."""
    kind = _kind(bundle)
    for text in texts:
        for name, operator in OPERATORS.items():
            mutants = list(dict.fromkeys(mutant for mutant in operator(text, bundle) if mutant != text))
            for mutant in dice.sample(mutants, min(each, len(mutants))):
                key = (name, mutant, bundle.digest)
                if key not in tally.seen:
                    tally.seen.add(key)
                    tally.count(kind, name, None if check_text(mutant, ANY, bundle) else mutant)


def mutate_stored(tally: Tally, bundle: Bundle, dice: random.Random, each: int) -> None:
    """Every operator on facts the document shows, in what is stored under the bundle's digest; then published."""
    true = _words(bundle)
    for name, fact_id, fields in _mutants(bundle, _document(bundle), dice, each):
        altered = _altered(bundle, fact_id, fields)
        if altered is not None and _words(altered) == true:
            tally.by["unseen"] += 1  # no reader would see it, if it got through
            continue
        try:
            loaded = verified(canonical(_stored(bundle, fact_id, fields)), bundle.digest)
        except DataFailure:
            outcome = "refused"
        else:
            outcome = "published true" if _words(loaded) in (true, None) else "published false"
        tally.by[outcome] += 1
        survivor = f"{bundle.kind} {fact_id} {fields}" if outcome == "published false" else None
        tally.count(_kind(bundle), name, survivor)


def mutate_built(tally: Tally, built: Built, dice: random.Random, each: int) -> None:
    """Every operator on facts the document shows, before the second reading that every builder ends with."""
    bundle = built.bundle
    for name, fact_id, fields in _mutants(bundle, _document(bundle), dice, each, figures=True):
        altered = _altered(bundle, fact_id, fields)
        if altered is None or _words(altered) is None:  # no fact, or no document, can be made so
            tally.by["refused"] += 1
            tally.count(_kind(bundle), name, None)
            continue
        if not unproven(_document(altered), bundle):
            tally.by["unseen"] += 1
            continue
        fact = built.again(altered.fact(fact_id))
        let_go = replace(altered, facts=tuple(fact if held.id == fact_id else held for held in altered.facts))
        false = unproven(_document(let_go), bundle, withheld=True) if _words(let_go) is not None else []
        tally.by["published false" if false else "withheld"] += 1
        tally.count(_kind(bundle), name, f"{bundle.kind} {fact_id} {fields}: {false[0]}" if false else None)


def _kind(bundle: Bundle) -> str:
    return "narrative" if bundle.kind.startswith("narrative") else base_of(bundle.kind)


def _mutants(
    bundle: Bundle, document: Document, dice: random.Random, each: int, *, figures: bool = False
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """So many mutations of each operator, of the facts that the document shows; `figures`: of the company's metrics and
    their parts alone, not of what the platform counts of its own and of effects, which no single query gives, nor of
    what is made of several metrics, which takes its name from none."""
    shown = list(dict.fromkeys(span.fact for span in spans_of(document.blocks) if isinstance(span, Claim)))
    facts = [fact for fact_id in shown if (fact := bundle.get(fact_id)) is not None]
    if figures:
        facts = [fact for fact in facts if not fact.change and _of_a_metric(fact)]
    for name, operator in EVIDENCE.items():
        mutants = [(fact.id, fields) for fact in facts for fields in islice(operator(bundle, fact), 20)]
        for fact_id, fields in dice.sample(mutants, min(each, len(mutants))):
            yield name, fact_id, fields


def _of_a_metric(fact: Fact) -> bool:
    params = dict(fact.source.params)
    part = params.get("dimension", "all") != "all"
    return "metric_id" in params and (part or fact.id.startswith(params["metric_id"]))


def _stored(bundle: Bundle, fact_id: str, fields: dict[str, Any]) -> Any:
    """The bundle as JSON with one fact altered, whatever it then says."""
    data = bundle.to_json()
    return {**data, "facts": [{**fact, **fields} if fact["id"] == fact_id else fact for fact in data["facts"]]}


def _altered(bundle: Bundle, fact_id: str, fields: dict[str, Any]) -> Bundle | None:
    """The bundle with one fact altered; None where that contradicts itself."""
    try:
        return Bundle.from_json(_stored(bundle, fact_id, fields))
    except DataFailure:
        return None


def _document(bundle: Bundle) -> Document:
    return compose(bundle, RulesWriter().write(bundle, brief_for(bundle)))


def _words(bundle: Bundle) -> str | None:
    """What a reader sees of its document, but for the number that evidence goes by; None where there is no document."""
    try:
        return markdown.render(_document(bundle)).replace(bundle.digest[:8], "")
    except DataFailure:
        return None


def corpus(home: Path, bundles: int) -> Iterator[Bundle]:
    """So many bundles of each kind."""
    with packs(home) as pack:
        makers: tuple[Callable[[int], Bundle], ...] = (pulse, narrative, playbook_report, work_answer, pack)
        for maker in makers:
            for seed in range(bundles):
                yield maker(seed)


def run(bundles: Iterator[Bundle], each: int, stored: int) -> tuple[Tally, Tally]:
    """The tallies of text and of stored evidence, of which each mutant is published to be looked at."""
    of_text, of_stored, dice = Tally(), Tally(), random.Random(20261121)
    for bundle in bundles:
        mutate_texts(of_text, bundle, dice, each, true_texts(bundle))
        mutate_stored(of_stored, bundle, dice, stored)
    return of_text, of_stored


def run_built(home: Path, bundles: int, each: int) -> Tally:
    """The tally of evidence that was built wrongly, beside the warehouse it was built from."""
    tally, dice = Tally(), random.Random(20261122)
    for one in built(home, bundles):
        mutate_built(tally, one, dice, each)
    return tally


def table(title: str, tally: Tally) -> str:
    lines = [f"{title}: {tally.caught:,} of {tally.total:,} caught = {100 * tally.share():.3f} %"]
    for operator in dict.fromkeys(name for _, name in tally.made):
        cells = "  ".join(
            f"{kind} {tally.made[kind, operator] - tally.through[kind, operator]:>6,}/{tally.made[kind, operator]:<6,}"
            for kind in KINDS
        )
        lines.append(f"  {operator:<16} {cells}  {100 * tally.share(operator=operator):.2f} %")
    for key, texts in tally.survivors.items():
        lines += [f"  survivor ({', '.join(key)}): {text}" for text in sorted(set(texts))[:40]]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.writing.mutations")
    parser.add_argument("--bundles", type=int, default=30, help="bundles of each kind")
    parser.add_argument("--each", type=int, default=25, help="mutants of one operator on one text, at most")
    parser.add_argument("--published", type=int, default=8, help="mutants of one operator on one bundle's evidence")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ops-mutations-") as home:
        of_text, of_stored = run(corpus(Path(home), chosen.bundles), chosen.each, chosen.published)
        of_built = run_built(Path(home), -(-chosen.bundles // 3), 3 * chosen.published)
    for title, tally in (("Text", of_text), ("Evidence, stored", of_stored), ("Evidence, built", of_built)):
        print(table(title, tally), f"  {dict(tally.by)}", sep="\n")
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if min(tally.share() for tally in (of_text, of_stored, of_built)) >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())

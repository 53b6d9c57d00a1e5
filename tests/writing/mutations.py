"""The mutation suite: true documents made false in every way, and how many of them get past what stands in the way.

    python -m tests.writing.mutations                  30 bundles of each kind, every operator
    python -m tests.writing.mutations --bundles 5 --each 10

Belongs here: making the mutants, holding each against the gate, the table. Does not belong here: the operators
(`mutation_text.py`, `mutation_evidence.py`), the evidence (`corpora.py`).

A text mutant is caught when `writing.claims.check_text` refuses it. An evidence mutant is caught by the *words* (the
draft no longer agrees with it), by its *figures* (a bundle that contradicts itself cannot be read) or by its *seal*
(its digest is another than the one the document names). The seal catches whatever is altered after it was stored; what
words and figures catch without it is told apart.
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

from ops_platform.documents.claims import tokens
from ops_platform.evidence.encoding import decode, encode
from ops_platform.evidence.model import Bundle, Fact
from ops_platform.failures import DataFailure
from ops_platform.writing.asking import request_text
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import check, check_text
from ops_platform.writing.draft import Draft, Slot
from ops_platform.writing.rules import RulesWriter
from sandbox.anthropic_api.writer import read_prompt, sentence
from tests.writing.corpora import narrative, packs, pulse
from tests.writing.mutation_evidence import EVIDENCE
from tests.writing.mutation_text import OPERATORS

ANY = Slot("headline", "Anything", max_chars=600, max_sentences=4)
REQUIRED = Decimal("0.99")
KINDS = ("pulse", "narrative", "board_pack")


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
    kind = bundle.kind.partition("_")[0] if bundle.kind.startswith("narrative") else bundle.kind
    for text in texts:
        for name, operator in OPERATORS.items():
            mutants = list(dict.fromkeys(mutant for mutant in operator(text, bundle) if mutant != text))
            for mutant in dice.sample(mutants, min(each, len(mutants))):
                key = (name, mutant, bundle.digest)
                if key not in tally.seen:
                    tally.seen.add(key)
                    tally.count(kind, name, None if check_text(mutant, ANY, bundle) else mutant)


def mutate_evidence(tally: Tally, bundle: Bundle, dice: random.Random, each: int) -> None:
    """Every operator on every fact the rules' draft speaks of."""
    kind = bundle.kind.partition("_")[0] if bundle.kind.startswith("narrative") else bundle.kind
    brief = brief_for(bundle)
    draft = RulesWriter().write(bundle, brief)
    spoken = list(dict.fromkeys(token.fact for text in draft.slots.values() for token in tokens(text)))
    for name, operator in EVIDENCE.items():
        mutants = [(fact_id, data) for fact_id in spoken for data in islice(operator(bundle, bundle.fact(fact_id)), 20)]
        for fact_id, fields in dice.sample(mutants, min(each * 4, len(mutants))):
            caught = caught_by(fact_id, fields, bundle, draft)
            tally.by[caught] += 1
            tally.count(kind, name, f"{bundle.kind} {fact_id} {fields}" if caught == "nothing" else None)


def caught_by(fact_id: str, fields: dict[str, Any], bundle: Bundle, draft: Draft) -> str:
    """What stops the altered evidence: its figures, the words over it, its seal, or nothing."""
    fact = bundle.fact(fact_id)
    try:
        other = decode(Fact, {**encode(fact), **fields})
        altered = replace(bundle, facts=tuple(other if held is fact else held for held in bundle.facts))
    except DataFailure:
        return "figures"
    if check(draft, altered, brief_for(bundle)):
        return "words"
    # What `evidence.store.verified` compares when a bundle is loaded.
    return "seal" if altered.digest != bundle.digest else "nothing"


def corpus(home: Path, bundles: int) -> Iterator[Bundle]:
    """So many bundles of each kind."""
    with packs(home) as pack:
        makers: tuple[Callable[[int], Bundle], ...] = (pulse, narrative, pack)
        for maker in makers:
            for seed in range(bundles):
                yield maker(seed)


def run(bundles: Iterator[Bundle], each: int) -> tuple[Tally, Tally]:
    """The tallies of text and of evidence."""
    of_text, of_evidence, dice = Tally(), Tally(), random.Random(20261121)
    for bundle in bundles:
        mutate_texts(of_text, bundle, dice, each, true_texts(bundle))
        mutate_evidence(of_evidence, bundle, dice, each)
    return of_text, of_evidence


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
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ops-mutations-") as home:
        of_text, of_evidence = run(corpus(Path(home), chosen.bundles), chosen.each)
    print(table("Text", of_text))
    print(table("Evidence", of_evidence))
    without = of_evidence.total - of_evidence.by["seal"] - of_evidence.by["nothing"]
    print(f"  by {dict(of_evidence.by)}: words and figures alone {100 * without / of_evidence.total:.1f} %")
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if min(of_text.share(), of_evidence.share()) >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())

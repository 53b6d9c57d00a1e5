"""The mutation suite: true sentences made false in every way a writer errs, and how many the gate lets through.

Each operator takes a true text over a bundle and yields texts that are false (or unprovable) by construction, with the
reason they are. A mutant that happens to be true again is not produced. The oracle is the operator, never the gate.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from ops_platform.documents.claims import TOKEN, claim, measure_in, tokens
from ops_platform.evidence.model import Bundle, Comparison, Fact
from ops_platform.failures import DataFailure
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import check_text
from ops_platform.writing.draft import Slot
from ops_platform.writing.rules import RulesWriter
from tests.evidence.bundles import morning
from tests.writing.test_claims import GOOD, spelled

ANY = Slot("headline", "Anything", max_chars=600, max_sentences=3)
REQUIRED = Decimal("0.99")


@dataclass(frozen=True)
class Mutant:
    kind: str
    text: str
    bundle: Bundle


Operator = Callable[[str, Bundle], Iterator[str]]

OPPOSITES = {
    "up": "down", "rose": "fell", "above": "below", "ahead": "behind", "lifted": "lowered", "raised": "lowered",
    "fewer": "more", "slipped": "climbed", "lost": "gained", "worse": "better", "pulled": "lifted", "over": "under",
    "increased": "decreased", "higher": "lower", "exceeded": "missed", "grew": "shrank",
}  # fmt: skip
OPPOSITES |= {down: up for up, down in OPPOSITES.items() if up != "raised"} | {"level": "up"}
_WORD = re.compile(r"[A-Za-z]+")


def outside(text: str) -> Iterator[re.Match[str]]:
    """The words of a text that are not part of a token."""
    spans = [match.span() for match in TOKEN.finditer(text)]
    for match in _WORD.finditer(text):
        if not any(start <= match.start() < end for start, end in spans):
            yield match


def numeric(text: str, bundle: Bundle) -> Iterator[re.Match[str]]:
    for match in TOKEN.finditer(text):
        (token,) = tokens(match.group())
        if measure_in(bundle, token).role != "word":
            yield match


def swap(text: str, match: re.Match[str], new: str) -> str:
    return text[: match.start()] + new + text[match.end() :]


def direction(text: str, bundle: Bundle) -> Iterator[str]:
    """Every word of direction turned round, and the wrong one put before a figure without sign."""
    for match in outside(text):
        word = match.group().lower()
        if word in OPPOSITES:
            yield swap(text, match, OPPOSITES[word])
    for match in numeric(text, bundle):
        (token,) = tokens(match.group())
        change = measure_in(bundle, token).change
        if change and ".abs_" in match.group():
            yield swap(text, match, ("up " if change < 0 else "down ") + match.group())


def sign(text: str, bundle: Bundle) -> Iterator[str]:
    """A signed figure beside a word of direction; the change against another base that went the other way."""
    for match in numeric(text, bundle):
        (token,) = tokens(match.group())
        fact = bundle.fact(token.fact)
        if ".abs_" in match.group() and not fact.change:
            yield swap(text, match, match.group().replace(".abs_", "."))
        held = measure_in(bundle, token).comparison
        part = token.path.rsplit(".", 1)[-1]
        for other in fact.comparisons:
            if held is None or other.name == held.name or not other.delta or not held.delta:
                continue
            if (other.delta > 0) == (held.delta > 0) or (part.endswith("pct") and other.delta_pct is None):
                continue
            yield swap(text, match, f"{{{{c:{fact.id}.comparison.{other.name}.{part}}}}}")


def unit(text: str, bundle: Bundle) -> Iterator[str]:
    """A unit that is not the figure's."""
    for match in numeric(text, bundle):
        for suffix in (
            " percent",
            "%",
            " dollars",
            " euros",
            " hours",
            " days",
            " points",
            " units",
            " weeks",
            " pp",
            " cents",
            " minutes",
        ):
            yield swap(text, match, match.group() + suffix)
        for prefix in ("$", "€", "£", "USD "):
            yield swap(text, match, prefix + match.group())


def magnitude(text: str, bundle: Bundle) -> Iterator[str]:
    """A figure made larger or smaller by a word, or written out by hand."""
    for match in numeric(text, bundle):
        token = match.group()
        (parsed,) = tokens(token)
        shown = claim(bundle, parsed.fact, parsed.path, parsed.style).text
        for suffix in (" million", " thousand", "K", " M", " bn", "0", "00", " hundred", ".5"):
            yield swap(text, match, token + suffix)
        for prefix in (
            "nearly half of ",
            "almost double ",
            "twice ",
            "about a third of ",
            "1",
            "a dozen times ",
            "two-thirds of ",
            "almost ",
            "about ",
            "at least ",
            "only ",
        ):
            yield swap(text, match, prefix + token)
        yield swap(text, match, shown)
        yield swap(text, match, "eleven thousand")
        yield swap(text, match, shown[:-1] + "9")


def size(text: str, bundle: Bundle) -> Iterator[str]:
    """A word of size that the change does not bear."""
    for match in outside(text):
        if match.group().lower() not in OPPOSITES:
            continue
        after = TOKEN.search(text, match.end())
        if after is None:
            continue
        (token,) = tokens(after.group())
        held = measure_in(bundle, token).comparison
        share = held.delta_pct.copy_abs() if held is not None and held.delta_pct is not None else None
        for word, fits in (
            ("slightly", share is not None and share <= Decimal("0.05")),
            ("marginally", share is not None and share <= Decimal("0.05")),
            ("sharply", share is not None and share >= Decimal("0.10")),
            ("significantly", share is not None and share >= Decimal("0.10")),
            ("dramatically", share is not None and share >= Decimal("0.25")),
            ("massively", share is not None and share >= Decimal("0.25")),
        ):
            if held is not None and not fits:
                yield swap(text, match, f"{word} {match.group()}")


def entity_token(text: str, bundle: Bundle) -> Iterator[str]:
    """The figure of another fact in the place of the one that is named."""
    for match in numeric(text, bundle):
        (token,) = tokens(match.group())
        label = bundle.fact(token.fact).label
        for other in bundle.facts:
            if other.id == token.fact or not other.numeric or other.label == label:
                continue
            mutant = swap(text, match, match.group().replace(f"c:{token.fact}", f"c:{other.id}"))
            try:
                measure_in(bundle, tokens(mutant[match.start() :])[0])
            except DataFailure:
                continue
            yield mutant


SUBJECTS = {
    "Net sales": ("Gross sales", "Refunds", "Profit", "Orders", "Net margin", "Ad spend"),
    "net sales": ("gross sales", "refunds", "profit", "orders", "cash"),
    "Revenue": ("Profit", "Refunds", "Margin"),
    "orders": ("refunds", "returns", "customers", "SKUs", "messages", "deals"),
    "Orders": ("Refunds", "Returns", "Customers", "Shipments"),
    "late": ("pending", "cancelled", "new"),
    "Late": ("Pending", "Cancelled", "New"),
    "pending": ("late", "cancelled"),
    "SKUs": ("orders", "customers", "suppliers"),
    "SKU": ("order", "customer"),
    "critical": ("warning",),
    "messages": ("tickets", "orders", "reviews"),
    "message": ("ticket", "order"),
    "health": ("margin",),
    "high-value": ("pending", "new"),
    "Refunds": ("Net sales", "Orders", "Discounts"),
    "month": ("quarter", "week", "year"),
    "Month": ("Quarter", "Week"),
    "velocity": ("margin",),
}


def entity_word(text: str, bundle: Bundle) -> Iterator[str]:
    """Another name beside the figure."""
    blank = TOKEN.sub(lambda match: "\ufffc" * len(match.group()), text)
    for name, others in SUBJECTS.items():
        for match in re.finditer(rf"\b{name}\b", blank):
            for other in others:
                yield text[: match.start()] + other + text[match.end() :]


def period(text: str, bundle: Bundle) -> Iterator[str]:
    """Another time, another base of comparison."""
    for match in TOKEN.finditer(text):
        (token,) = tokens(match.group())
        fact = bundle.fact(token.fact)
        if token.path.endswith(".label") and token.path.startswith("comparison."):
            name = token.path.split(".")[1]
            for base in fact.comparisons:
                if base.name != name:
                    yield swap(text, match, f"{{{{c:{fact.id}.comparison.{base.name}.label}}}}")
            for other_fact in bundle.facts:
                same = other_fact.comparison(name)
                if same is None and other_fact.comparisons:
                    yield swap(
                        text, match, f"{{{{c:{other_fact.id}.comparison.{other_fact.comparisons[0].name}.label}}}}"
                    )
        if token.path == "period":
            for other_fact in bundle.facts:
                if other_fact.period is not None and other_fact.period != fact.period:
                    yield swap(text, match, f"{{{{c:{other_fact.id}.period}}}}")
        if measure_in(bundle, token).role != "word":
            for phrase in (
                " last year",
                " this week",
                " on Monday",
                " in November",
                " this year",
                " over the weekend",
                " tomorrow",
                " per hour",
                " a day",
            ):
                yield swap(text, match, match.group() + phrase)
            if fact.period is not None and fact.period.start != bundle.period.start:
                yield swap(text, match, match.group() + " yesterday")
            if fact.period is not None and fact.period.end == bundle.period.end:
                yield swap(text, match, match.group() + " today")
    for phrase, other in (("plan", "target"), ("the day before", "last week"), ("target", "plan")):
        for match in re.finditer(rf"\b{phrase}\b", TOKEN.sub(lambda found: "\ufffc" * len(found.group()), text)):
            yield text[: match.start()] + other + text[match.end() :]


def invention(text: str, bundle: Bundle) -> Iterator[str]:
    """What no figure says: ranks, causes, trends, forecasts, comfort, denial."""
    body = text.rstrip(".")
    for phrase in (
        ", a record", ", the best of the year", ", the highest ever", ", again", ", and accelerating", ", as usual",
        " because of the weather", " due to the promotion", ", thanks to the team", ", and will recover",
        ", likely to continue", ", so all is well", ", which is normal", ", not more", ", with customers happy at 9",
        ", and nothing else is late", ", the worst so far", ", unlike refunds, which fell", ", while profit rose",
        ", and orders doubled", " in Germany", " on Amazon", ", says Li",
        ", solid as ever", ", for the third time", ", see www.evil.example", " <!channel>", " @here",
    ):  # fmt: skip
        yield body + phrase + "."
    yield "No " + text
    yield "Never mind: " + text


OPERATORS: dict[str, Operator] = {
    "direction": direction,
    "sign": sign,
    "unit": unit,
    "magnitude": magnitude,
    "size": size,
    "entity (figure)": entity_token,
    "entity (word)": entity_word,
    "period": period,
    "invention": invention,
}


def turned(bundle: Bundle, fact: Fact) -> Bundle:
    """The bundle with one fact's changes turned round: the same size, the other sign."""

    def opposite(comparison: Comparison) -> Comparison:
        if not comparison.delta:
            return comparison
        share = -comparison.delta_pct if comparison.delta_pct is not None else None
        return replace(comparison, delta=-comparison.delta, delta_pct=share)

    flipped = replace(
        fact,
        value=-fact.value if fact.change and fact.value is not None else fact.value,
        comparisons=tuple(opposite(item) for item in fact.comparisons),
    )
    return replace(bundle, facts=tuple(flipped if item.id == fact.id else item for item in bundle.facts))


def lost(bundle: Bundle, fact: Fact) -> Bundle:
    unknown = replace(fact, value=None, status="unknown", comparisons=())
    return replace(bundle, facts=tuple(unknown if item.id == fact.id else item for item in bundle.facts))


CONFIDENT = re.compile(r"\b(?:came to|stands at|fell|rose|reached|came|stood|slipped|lost)\b")


def on_the_bundle(text: str, bundle: Bundle) -> Iterator[Mutant]:
    """The evidence changes under a text that was true: its directions no longer hold, its figures are unknown."""
    for fact_id in dict.fromkeys(token.fact for token in tokens(text)):
        fact = bundle.fact(fact_id)
        spoken = [
            match
            for match in numeric(text, bundle)
            if f"c:{fact_id}." in match.group() or f"c:{fact_id}}}" in match.group()
        ]
        has_unsigned = any(".abs_" in match.group() for match in spoken)
        if has_unsigned and (fact.change or any(item.delta for item in fact.comparisons)):
            yield Mutant("bundle: sign", text, turned(bundle, fact))
        if any(".abs_" in m.group() or "delta" in m.group() for m in spoken) or (
            spoken and CONFIDENT.search(text[: spoken[0].start()])
        ):
            yield Mutant("bundle: unknown", text, lost(bundle, fact))


def variations() -> Iterator[Bundle]:
    """The fixed morning, and mornings with other figures, ups and downs mixed."""
    yield morning()
    source = random.Random(20261120)
    for _ in range(5):
        base = morning()
        facts = []
        for fact in base.facts:
            if fact.value is None or not fact.comparisons:
                facts.append(fact)
                continue
            factor = Decimal(source.choice(("0.4", "0.7", "0.88", "0.97", "1.03", "1.12", "1.4", "2.5")))
            value = (fact.value * factor + 1).quantize(Decimal("0.01") if fact.unit == "money" else Decimal(1))
            bases = tuple(Comparison.between(c.name, c.label, value, c.value) for c in fact.comparisons)
            facts.append(replace(fact, value=value, comparisons=bases))
        driver = replace(base.fact("driver"), value=Decimal(source.choice(("-6.2", "-1.1", "2.4", "7"))))
        yield replace(base, facts=tuple(driver if item.id == "driver" else item for item in facts))


def true_texts(bundle: Bundle) -> list[str]:
    """Texts that are true of the bundle: the corpus where it still holds, and what the rules write."""
    texts = [text for text in map(spelled, GOOD) if not check_text(text, ANY, bundle)]
    return texts + list(RulesWriter().write(bundle, brief_for(bundle)).slots.values())


def mutants(bundle: Bundle) -> Iterator[Mutant]:
    for text in true_texts(bundle):
        for kind, operator in OPERATORS.items():
            for mutant in operator(text, bundle):
                if mutant != text:
                    yield Mutant(kind, mutant, bundle)
        yield from on_the_bundle(text, bundle)


# Mutants that the gate lets through, with the reason. An entry here is a known limit, not a target.
KNOWN_SURVIVORS: frozenset[str] = frozenset()


def test_at_least_99_percent_of_all_mutations_are_caught() -> None:
    made: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    seen: set[tuple[str, str, str]] = set()
    for bundle in variations():
        for mutant in mutants(bundle):
            key = (mutant.kind, mutant.text, mutant.bundle.digest)
            if key in seen:
                continue
            seen.add(key)
            made[mutant.kind] += 1
            if not check_text(mutant.text, ANY, mutant.bundle):
                survived[mutant.kind] += 1
                examples.setdefault(mutant.kind, []).append(mutant.text)
    for kind in made:
        listed = "".join(f"\n      {text}" for text in sorted(set(examples.get(kind, []))))
        print(f"{kind:16} {made[kind] - survived[kind]:6} of {made[kind]:6} caught{listed}")
    total, through = sum(made.values()), sum(survived.values())
    print(f"{'all':16} {total - through:6} of {total:6} caught = {100 * (total - through) / total:.3f} %")
    assert total > 20_000
    assert {kind for kind, count in made.items() if count < 50} == set()
    assert Decimal(total - through) / total >= REQUIRED
    for kind, count in made.items():
        assert Decimal(count - survived[kind]) / count >= REQUIRED, kind
    unlisted = {text for texts in examples.values() for text in texts} - KNOWN_SURVIVORS
    assert unlisted == set()


def test_the_true_texts_themselves_pass() -> None:
    assert all(not check_text(spelled(text), ANY, morning()) for text in GOOD)
    assert sum(len(true_texts(bundle)) for bundle in variations()) > 100

"""True sentences made false: every way a writer errs, as functions from a text to texts.

Belongs here: what is done to a text. Does not belong here: what is done to the evidence (`mutation_evidence.py`), how
many get through (`mutations.py`).

Each operator takes a true text over a bundle and yields texts that are false (or unprovable) by construction. One that
happens to be true again is not produced. The oracle is the operator, never the gate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal

from ops_platform.documents.claims import TOKEN, claim, measure_in, tokens
from ops_platform.evidence.model import Bundle, Comparison
from ops_platform.failures import DataFailure

Operator = Callable[[str, Bundle], Iterator[str]]

OPPOSITES = {
    "up": "down", "rose": "fell", "above": "below", "ahead": "behind", "lifted": "lowered", "raised": "lowered",
    "fewer": "more", "slipped": "climbed", "lost": "gained", "worse": "better", "pulled": "lifted", "over": "under",
    "increased": "decreased", "higher": "lower", "exceeded": "missed", "grew": "shrank",
}  # fmt: skip
OPPOSITES |= {down: up for up, down in OPPOSITES.items() if up != "raised"} | {"level": "up"}
_WORD = re.compile(r"[A-Za-z]+")


def flat(base: Comparison) -> bool:
    """Whether nobody would call the change one."""
    return base.delta == 0 or (base.delta_pct is not None and abs(base.delta_pct) <= Decimal("0.01"))


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
        if word == "level":
            # What is level may have moved by a hair: the other way is false whatever it did.
            yield swap(text, match, "down" if _moved_up(text, match.end(), bundle) else "up")
        elif word in OPPOSITES:
            yield swap(text, match, OPPOSITES[word])
    for match in numeric(text, bundle):
        (token,) = tokens(match.group())
        change = measure_in(bundle, token).change
        if change and ".abs_" in match.group():
            yield swap(text, match, ("up " if change < 0 else "down ") + match.group())


def _moved_up(text: str, place: int, bundle: Bundle) -> bool:
    """Whether the figure stands above what is named next."""
    named = TOKEN.search(text, place)
    if named is None:
        return False
    (token,) = tokens(named.group())
    pieces = token.path.split(".")
    held = bundle.fact(token.fact).comparison(pieces[1]) if pieces[0] == "comparison" else None
    return held is not None and held.delta is not None and held.delta > 0


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


def entity_label(text: str, bundle: Bundle) -> Iterator[str]:
    """The name of another fact beside the figure: as its claim, and written out."""
    for match in TOKEN.finditer(text):
        (token,) = tokens(match.group())
        if token.path != "label":
            continue
        label = bundle.fact(token.fact).label
        for other in bundle.facts:
            if other.numeric and other.label != label:
                yield swap(text, match, f"{{{{c:{other.id}.label}}}}")
                if other.label.replace(" ", "").isalpha():
                    yield swap(text, match, other.label)


def state(text: str, bundle: Bundle) -> Iterator[str]:
    """A known figure called unknown, an unknown one spoken of as if it were there."""
    for match in TOKEN.finditer(text):
        (token,) = tokens(match.group())
        fact = bundle.fact(token.fact)
        if token.path not in ("value", "unknown_since"):
            continue
        if fact.known:
            yield swap(text, match, f"unknown since {match.group()}")
            yield swap(text, match, f"unknown, {match.group()}")
        else:
            for words in ("up to ", "reached ", "fell to ", "a solid ", "clearly ", "exactly "):
                yield swap(text, match, words + match.group())


def period(text: str, bundle: Bundle) -> Iterator[str]:
    """Another time, another base of comparison."""
    for match in TOKEN.finditer(text):
        (token,) = tokens(match.group())
        fact = bundle.fact(token.fact)
        if token.path.endswith(".label") and token.path.startswith("comparison."):
            name = token.path.split(".")[1]
            told = fact.comparison(name)
            for base in fact.comparisons:
                # As much above the one as above the other: the text would be true again.
                if base.name != name and (
                    told is None or not (base.delta == told.delta or (flat(base) and flat(told)))
                ):
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
            if fact.period is not None and fact.period.start != bundle.period.end:
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
    "entity (label)": entity_label,
    "state": state,
    "period": period,
    "invention": invention,
}

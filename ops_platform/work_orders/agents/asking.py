"""What an order asks about: its words held against the names of metrics and lists, and the days it speaks of.

Belongs here: the choice made without a model, and the record of what was chosen (a model may add to it). Does not
belong here: reading figures (`evidence.py`), the model's tools (`tools.py`).

The words are a stranger's. All they can do here is choose among names that the agent's own file and the warehouse have;
nothing of them becomes SQL, a name or an instruction.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ops_platform.evidence.calendar import DAY, MONTHS
from ops_platform.evidence.spans import Span, last_complete, span_of
from ops_platform.writing.vocabulary import lemma

if TYPE_CHECKING:
    from ops_platform.fleet.reports import Listing
    from ops_platform.work_orders.agents.model import Order

MOST_METRICS, MOST_LISTS, MOST_DOCUMENTS, MOST_OUTSIDE = 4, 2, 3, 3
BODY_READ = 4_000
#: A name counts as meant when so much of it, by weight, stands in the words.
MEANT = 0.6
TITLE_WEIGHT = 3.0
VERBATIM = 3.0
_WORD = re.compile(r"[^\W\d_]+")
_COMMON = frozenset(
    "the a an of to in on for and or with by per at from is are was were be been it its this that these those we our us"
    " you your i they their what which who whom how why when where do does did can could should would please need want"
    " show give tell me look find check report list all any not no so as if than then there has have had about into out"
    " up over under between more most less much many new now today yesterday week month quarter year last next current"
    " value rate share number amount daily weekly monthly".split()
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric's name as the warehouse has it."""

    id: str
    label: str
    division: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be looked at besides the agent's own report: metrics by id over `span`, further lists by name, words
    to find documents by; `outside` are metrics that were meant and are not the agent's. `artefacts` are lists wanted
    whole, `history` metrics that are shown by week (the first one always is). `spoken` says that the question itself
    named the days."""

    span: Span
    metrics: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    documents: tuple[int, ...] = ()
    outside: tuple[str, ...] = ()
    artefacts: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    spoken: bool = False

    def with_metric(self, name: str) -> Asked:
        return self if name in self.metrics else replace(self, metrics=(*self.metrics, name))

    def with_history(self, name: str) -> Asked:
        return self if name in self.history else replace(self, history=(*self.history, name))

    def with_list(self, name: str) -> Asked:
        return self if name in self.lists else replace(self, lists=(*self.lists, name))

    def with_document(self, number: int) -> Asked:
        return self if number in self.documents else replace(self, documents=(*self.documents, number))

    def with_artefact(self, name: str) -> Asked:
        return self if name in self.artefacts else replace(self, artefacts=(*self.artefacts, name))


@dataclass(frozen=True, slots=True)
class Words:
    """The words of an order with their weight: those of the title count three times. A name shares at least `least`
    words with them that are its own. `running` is all of them in a row, for a name that stands there as it is."""

    weights: Mapping[str, float] = field(default_factory=dict)
    least: int = 1
    running: str = ""

    @classmethod
    def of(cls, order: Order) -> Words:
        found: dict[str, float] = {}
        for text, weight in ((order.title, TITLE_WEIGHT), (order.body[:BODY_READ], 1.0)):
            for word in set(_words(text)):
                found[word] = max(found.get(word, 0.0), weight)
        running = " ".join(_words(f"{order.title} {order.body[:BODY_READ]}", common=False))
        return cls(dict(found), running=f" {running} ")


def asked_by(
    order: Order,
    today: date,
    metrics: Sequence[Definition],
    own: Iterable[str],
    lists: Mapping[str, Listing],
    shown: Iterable[str],
) -> Asked:
    """What the order's words mean, of the metrics there are (`own`: those the agent may read) and of the agent's lists
    (`shown` are in its report anyway)."""
    words, mine = Words.of(order), set(own)
    names = {one.id: (one.label, one.id.replace("_", " ")) for one in metrics}
    meant = _meant(words, names)
    # That something is another agent's is said only where the title names it by two words of its own.
    titled = Words({word: weight for word, weight in words.weights.items() if weight >= TITLE_WEIGHT}, 2, words.running)
    wanted_lists = _meant(words, {name: _of_list(one) for name, one in lists.items()})
    spoken = span_meant(order.title, today) or span_meant(order.body[:BODY_READ], today)
    return Asked(
        span=spoken or _week(today),
        spoken=spoken is not None,
        metrics=tuple([name for name in meant if name in mine][:MOST_METRICS]),
        lists=tuple([name for name in wanted_lists if name not in set(shown)][:MOST_LISTS]),
        outside=tuple([name for name in _meant(titled, names) if name not in mine][:MOST_OUTSIDE]),
    )


def _week(today: date) -> Span:
    """The seven whole days up to yesterday."""
    return Span("weekly", today - timedelta(days=7), today - DAY)


def span_meant(text: str, today: date) -> Span | None:
    """The days a text speaks of: a month by its name (the last one so called that began), "last month", a week,
    "yesterday"; None where it names none."""
    lower = text.lower()
    # "may" and "march" are ordinary words as well: as months they are written large.
    for number, name in enumerate(MONTHS, 1):
        found = re.search(rf"\b{name}\b(?:\s+(20\d\d))?", text)
        if found is None:
            continue
        year = int(found.group(1)) if found.group(1) else today.year - (date(today.year, number, 1) > today)
        if date(year, number, 1) <= today:
            return span_of("monthly", date(year, number, 1))
    if re.search(r"\b(last|past|previous) month\b|\bmonthly\b|\bmonth end\b", lower):
        return last_complete("monthly", today)
    if re.search(r"\bweek(?:ly)?\b", lower):
        return _week(today)
    yesterday = today - DAY
    if re.search(r"\byesterday\b|\btoday\b|\bdaily\b|\bthis morning\b", lower):
        return Span("daily", yesterday, yesterday)
    return None


def _meant(words: Words, names: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The names that the words mean, the best first: most of a name must be there, rare words weigh more, and one that
    stands there word for word weighs most."""
    spelled = {name: frozenset(_words(" ".join(texts), common=False)) for name, texts in names.items()}
    known = Counter(word for each in spelled.values() for word in each)
    rare = {word: math.log(1 + len(names) / times) for word, times in known.items()}
    found = []
    for name, each in spelled.items():
        own = {word: rare[word] * (0.35 if word in _COMMON else 1) for word in each}
        whole = sum(own.values())
        shared = [word for word in own if word in words.weights]
        phrases = (" ".join(_words(text, common=False)) for text in names[name])
        literal = any(" " in phrase and f" {phrase} " in words.running for phrase in phrases)
        telling = sum(word not in _COMMON for word in shared)
        if not whole or not telling or (telling < words.least and not literal):
            continue
        covered = sum(own[word] for word in shared) / whole
        if covered >= MEANT:
            weight = sum(own[word] * words.weights[word] for word in shared) * covered
            found.append((weight * (VERBATIM if literal else 1.0), name))
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    best = found[0][0] if found else 0.0
    return [name for score, name in found if score >= best * 0.4]


def _of_list(listing: Listing) -> tuple[str, ...]:
    return listing.name.replace("_", " "), listing.many


def _words(text: str, *, common: bool = True) -> list[str]:
    """Lemmas of the words that say what a text is about."""
    found = []
    for word in _WORD.findall(text.lower()):
        if len(word) < 3 or (common and word in _COMMON and word not in ("rate", "share", "value")):
            continue
        found.append(lemma(word))
    return found

"""One sentence held against the evidence: what its words may say of its numbers.

Belongs here: whether a word of direction, size, rank, subject, time or comparison agrees with the claim it stands by.
Does not belong here: which words belong to which claim (`writing.sentences`), the words themselves
(`writing.vocabulary`), what is seen without evidence (`writing.surface`), slots and tokens (`writing.claims`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.documents.claims import claim
from ops_platform.writing import vocabulary as words
from ops_platform.writing.sentences import WORD, Anchor, Item, Sentence
from ops_platform.writing.surface import Finding

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle, Comparison, Fact

SMALL_CHANGE = Decimal("0.05")
LARGE_CHANGE = Decimal("0.10")
EXTREME_CHANGE = Decimal("0.25")
FLAT_CHANGE = Decimal("0.01")


class Reading:
    """One sentence held against the evidence."""

    def __init__(self, sentence: Sentence, bundle: Bundle) -> None:
        self.sentence = sentence
        self.bundle = bundle
        self.found: list[Finding] = []
        self._labels = {fact.id: _label_words(fact) for fact in bundle.facts if fact.numeric}

    def findings(self) -> list[Finding]:
        """Every reason to refuse the sentence, each once."""
        self._whole_sentence()
        previous: Anchor | None = None
        for anchor in self.sentence.anchors:
            self._subject(anchor, previous)
            self._notes(anchor)
            self._times(anchor)
            self._units(anchor)
            if anchor.known:
                self._known(anchor)
                self._comparison_words(anchor)
                self._directions(anchor)
                self._base(anchor)
            else:
                self._unknown(anchor)
            previous = anchor
        return list(dict.fromkeys(self.found))

    def _add(self, kind: str, item: Item | Anchor, message: str) -> None:
        span = item.span if isinstance(item, Anchor) else (item.start, item.end)
        self.found.append(Finding(kind, span, message))

    def _whole_sentence(self) -> None:
        items = self.sentence.items
        names = frozenset().union(*(_own_name(anchor) for anchor in self.sentence.anchors))
        for index, item in enumerate(items):
            if item.kind == "note" or len(item.text) < 2:
                continue
            own = self._in_label_nearby(item)
            if (item.text in words.NEGATION or item.text.endswith("n't")) and item not in names:
                self._add("negation", item, f"{item.text!r}: say what is, not what is not.")
            elif item.text in words.SUPERLATIVE and not own:
                self._superlative(item)
            elif item.text in words.TREND and not own and not self._of_unknown(item):
                self._add("trend", item, f"{item.text!r}: the evidence shows no course of time.")
            elif item.text in words.CAUSE and not self._names_driver(items, index):
                self._add("cause", item, f"{item.text!r}: the evidence gives no cause.")
            elif item.text in words.FORECAST and not own:
                self._add("forecast", item, f"{item.text!r}: the evidence holds no future.")
            elif item.text in words.ORDERS and not own:
                self._add("order", item, f"{item.text!r}: a document neither advises nor orders.")
            elif item.text in words.REASSURING and not own and not is_calm(self.bundle):
                self._add("reassurance", item, f"{item.text!r}: something is unknown or needs attention.")
        if items and not self.sentence.anchors:
            self._add("unsupported", items[0], "A sentence needs a figure of its own.")

    def _in_label_nearby(self, item: Item) -> bool:
        """Whether the word is part of the name of a fact whose claim it stands by ("Oldest message wait")."""
        return any(
            item in anchor.window
            and (item.lemma in self._label(anchor) or item.text in anchor.fact.label.lower().split())
            for anchor in self.sentence.anchors
        )

    def _names_driver(self, items: tuple[Item, ...], index: int) -> bool:
        """ "Because of" and the like may name the driver the evidence itself found, and nothing else."""
        driver = self.bundle.get("driver")
        if driver is None or not driver.known or items[index].text not in words.CAUSE_OF_DRIVER:
            return False
        label = self._labels["driver"]
        named = (
            item.lemma in label
            or (item.token is not None and (item.token.fact, item.token.path) == ("driver", "label"))
            for item in items[index + 1 : index + 5]
        )
        return any(named) and any(anchor.fact.id == "driver" for anchor in self.sentence.anchors)

    def _of_unknown(self, item: Item) -> bool:
        """ "Unknown since …" tells no course of events."""
        return item.text == "since" and any(not a.known and item in a.window for a in self.sentence.anchors)

    def _superlative(self, item: Item) -> None:
        for anchor in self.sentence.anchors:
            if item not in anchor.window:
                continue
            held = anchor.fact.superlative
            if (held == "highest" and item.text in words.HIGHEST_WORDS) or (
                held == "lowest" and item.text in words.LOWEST_WORDS
            ):
                return
        self._add("superlative", item, f"{item.text!r}: the evidence ranks nothing here.")

    # Subjects: does the text call the number by its name?

    def _label(self, anchor: Anchor) -> frozenset[str]:
        return self._labels.get(anchor.fact.id, frozenset())

    def _subject(self, anchor: Anchor, previous: Anchor | None) -> None:
        named = [note for note in anchor.notes if note.token and note.token.path == "label"]
        for note in named:
            assert note.token is not None
            if note.token.fact != anchor.fact.id:
                self._add(
                    "entity", anchor, f"The label of {note.token.fact!r} stands by a figure of {anchor.fact.id!r}."
                )
        mention = self._mention(anchor)
        allowed = _allowed_words(anchor.fact, self._label(anchor))
        strange = sorted(mention - allowed)
        if strange:
            called = ", ".join(strange)
            self._add("entity", anchor, f"The figure is {anchor.fact.label!r}; {called!r} names something else.")
        elif named:
            return
        elif mention & self._label(anchor) and not _turns(anchor) <= {item.text for item in anchor.words}:
            # "Subscribers gained" is another figure than "Subscribers lost", however many words they share.
            self._add("entity", anchor, f"Name it fully: {anchor.fact.label!r}.")
        elif mention & self._label(anchor):
            best = self._best_named(mention)
            if best != anchor.fact.id:
                self._add("entity", anchor, f"So named, this would be {best!r}, not {anchor.fact.id!r}: name it fully.")
        elif previous is None or previous.fact.id != anchor.fact.id:
            self._add("entity", anchor, f"Say what the figure is: {anchor.fact.label!r}.")

    def _mention(self, anchor: Anchor) -> frozenset[str]:
        """The words of the window that name a subject, without those that name what it is compared with."""
        compared = _comparison_words(anchor) | _division_words(anchor, self.bundle)
        known = words.SUBJECTS | frozenset().union(*self._labels.values())
        if not anchor.known:
            known -= words.STATE_OF_UNKNOWN  # "is unknown" says how the figure stands, whatever else is called so
        return frozenset(item.lemma for item in anchor.words if item not in compared and item.lemma in known)

    def _best_named(self, mention: frozenset[str]) -> str:
        """The fact the words name best: the largest share of words in common; the earlier fact in a tie."""
        best, best_score = "", Decimal(-1)
        for fact_id, label in self._labels.items():
            fact = self.bundle.fact(fact_id)
            core = mention - (_allowed_words(fact, label) - label)
            together = core | label
            score = Decimal(len(core & label)) / len(together) if together else Decimal(0)
            if score > best_score:
                best, best_score = fact_id, score
        return best

    # Notes, times, units

    def _notes(self, anchor: Anchor) -> None:
        for note in anchor.notes:
            token = note.token
            assert token is not None
            owners = [other for other in self.sentence.anchors if note in other.window]
            if token.path in ("period", "fresh_to", "unknown_since"):
                if all(token.fact != owner.fact.id for owner in owners):
                    self._add("period", note, f"The {token.path} of {token.fact!r} stands by another figure.")
            elif token.path.endswith(".label"):
                name = token.path.split(".")[1]
                fits = (token.fact == owner.fact.id and _comparison_name(owner) in (None, name) for owner in owners)
                if not any(fits):
                    self._add("comparison", note, f"The figure is not against {name!r} of {token.fact!r}.")

    def _times(self, anchor: Anchor) -> None:
        fact = anchor.fact
        phrase = anchor.phrase()
        compared = _comparison_words(anchor) | _own_name(anchor)
        day = self.bundle.period.end
        said = anchor.words
        for index, item in enumerate(said):
            text, base = item.text, item.lemma
            pointed = index > 0 and said[index - 1].text in words.POINTING and said[index - 1].end + 1 == item.start
            if text == "yesterday":
                if fact.period is None or (fact.period.start, fact.period.end) != (day, day):
                    self._add("period", item, f"The figure is not of yesterday: {_period_label(fact)}.")
            elif text in words.TODAY or (text == "morning" and " this morning" in f" {phrase}"):
                if fact.period is not None and fact.period.end <= day:
                    self._add("period", item, f"The figure is not of today: {_period_label(fact)}.")
            elif text == "overnight" and "message" not in self._label(anchor):
                self._add("period", item, "Overnight is said of messages only.")
            elif base in words.CALENDAR and item not in compared and (pointed or base not in self._label(anchor)):
                self._add("period", item, f"{text!r}: use the claim's period or comparison label.")

    def _units(self, anchor: Anchor) -> None:
        leading = [item for item in anchor.window if item.end <= anchor.token.start]
        if leading and leading[-1].text in words.BENDING and anchor.token.start - leading[-1].end <= 1:
            self._add("magnitude", leading[-1], f"{leading[-1].text!r}: the figure stands as it is.")
        following = [item for item in anchor.window if item.start >= anchor.token.end]
        if following and following[0].kind == "word" and following[0].start - anchor.token.end <= 1:
            item = following[0]
            if item.lemma in words.TIME_UNITS and item.lemma not in self._label(anchor):
                self._add("unit", item, f"{item.text!r}: the claim brings its own unit.")

    # Comparisons and directions

    def _comparison_words(self, anchor: Anchor) -> None:
        for name in _named_comparisons(anchor):
            if anchor.fact.comparison(name) is None:
                self._add("comparison", anchor, f"{anchor.fact.id!r} has no comparison {name!r}.")
            elif anchor.measure.comparison is not None and anchor.measure.comparison.name != name:
                held = anchor.measure.comparison.name
                self._add("comparison", anchor, f"The figure is against {held!r}, the words say {name!r}.")

    def _compared_with(self, anchor: Anchor) -> Comparison | None:
        """What a direction beside the anchor is measured against."""
        if anchor.measure.comparison is not None:
            return anchor.measure.comparison
        for name in _named_comparisons(anchor):
            return anchor.fact.comparison(name)
        for note in anchor.notes:
            assert note.token is not None
            if note.token.fact == anchor.fact.id and note.token.path.endswith(".label"):
                return anchor.fact.comparison(note.token.path.split(".")[1])
        for other in self.sentence.anchors:
            if other.fact.id == anchor.fact.id and other.measure.comparison is not None:
                return other.measure.comparison
        return anchor.fact.primary

    def _change(self, anchor: Anchor) -> tuple[Decimal | None, Decimal | None]:
        """The change a direction is about, and its share of the base."""
        if anchor.fact.change:
            return anchor.fact.value, None
        comparison = self._compared_with(anchor)
        return (comparison.delta, comparison.delta_pct) if comparison else (None, None)

    def _directions(self, anchor: Anchor) -> None:
        delta, share = self._change(anchor)
        directed = False
        items, own = anchor.window, _own_name(anchor)
        for index, item in enumerate(items):
            if item.kind != "word" or item in own:
                continue
            wanted = _sign_of(items, index)
            if wanted:
                directed = True
                if not delta or (delta > 0) != (wanted > 0):
                    self._add(
                        "direction",
                        item,
                        f"{item.text!r} contradicts {anchor.fact.id!r}: the change is {_sign(delta)}.",
                    )
                elif self._shows_nothing(anchor):
                    self._add("direction", item, f"{item.text!r}: as shown, the change is nil.")
                if anchor.measure.role in ("delta", "delta_pct") and anchor.token.path != "value":
                    self._add(
                        "double_sign", item, f"{item.text!r} beside a signed figure: use abs_{anchor.measure.role}."
                    )
            elif item.text in words.BETTER | words.WORSE:
                directed = True
                self._double_sign(anchor, item)
                good = anchor.fact.favourable(delta)
                if good is None or good != (item.text in words.BETTER):
                    self._add("direction", item, f"{item.text!r} is not what the change of {anchor.fact.id!r} says.")
            elif item.text in words.FLAT and _is_flat_word(items, index):
                if delta is None or (share is None and delta != 0) or (share is not None and abs(share) > FLAT_CHANGE):
                    self._add("direction", item, f"{item.text!r}: the change is not flat.")
                directed = True
            self._magnitude(item, items, index, share)
        if anchor.measure.role in ("abs_delta", "abs_delta_pct") and not directed:
            self._add("direction", anchor, "A change without sign needs a word that says which way.")

    def _double_sign(self, anchor: Anchor, item: Item) -> None:
        if anchor.measure.role in ("delta", "delta_pct"):
            part = "abs_value" if anchor.fact.change else f"abs_{anchor.measure.role}"
            self._add("double_sign", item, f"Two signs: beside {item.text!r} use {part}.")

    def _magnitude(self, item: Item, items: list[Item], index: int, share: Decimal | None) -> None:
        text = item.text
        if text not in words.SMALL | words.LARGE | words.EXTREME:
            return
        if text in words.WEIGHING_ADVERBS and not (index + 1 < len(items) and _sign_of(items, index + 1)):
            return
        size = abs(share) if share is not None else None
        fits = size is not None and (
            size <= SMALL_CHANGE
            if text in words.SMALL
            else size >= (EXTREME_CHANGE if text in words.EXTREME else LARGE_CHANGE)
        )
        if not fits:
            self._add("magnitude", item, f"{text!r} is not what the size of the change supports.")

    def _shows_nothing(self, anchor: Anchor) -> bool:
        """Whether the change rounds to nothing as printed: "up 0.0%" is no news."""
        if anchor.measure.role not in ("delta", "abs_delta", "delta_pct", "abs_delta_pct"):
            return False
        shown = claim(self.bundle, anchor.token.fact, anchor.token.path, anchor.token.style).text
        return not any(char in "123456789" for char in shown)

    def _base(self, anchor: Anchor) -> None:
        """A change, or a direction, must say against what."""
        role = anchor.measure.role
        if anchor.fact.change:
            return
        own = _own_name(anchor)
        directed = any(
            _sign_of(anchor.window, index)
            for index, item in enumerate(anchor.window)
            if item.kind == "word" and item not in own
        )
        if role == "value" and not directed:
            return
        comparison = self._compared_with(anchor)
        if comparison is None or not self._names_base(anchor, comparison.name):
            self._add("missing_base", anchor, "Say against what: use the comparison's label.")

    def _names_base(self, anchor: Anchor, name: str) -> bool:
        same = [other for other in self.sentence.anchors if other.fact.id == anchor.fact.id]
        if anchor.measure.role != "value":
            same = [anchor, *(other for other in same if _comparison_name(other) in (None, name))]
        for other in same:
            if name in _named_comparisons(other):
                return True
            for note in other.notes:
                assert note.token is not None
                if note.token.fact == anchor.fact.id and note.token.path == f"comparison.{name}.label":
                    return True
        return False

    def _known(self, anchor: Anchor) -> None:
        """A figure that is there is not called unknown, whatever it is called otherwise."""
        for item in anchor.words:
            if item.text in words.STATE_OF_UNKNOWN and not self._in_label_nearby(item):
                self._add("unknown", item, f"{item.text!r}: {anchor.fact.id!r} is known.")

    def _unknown(self, anchor: Anchor) -> None:
        """An unknown figure may be said to be unknown, and nothing else."""
        texts, own = [item.text for item in anchor.words], _own_name(anchor)
        sure = words.CONFIDENT | words.BETTER | words.WORSE | words.SMALL | words.LARGE | words.EXTREME
        for index, item in enumerate(anchor.window):
            if item.kind != "word" or item in own:
                continue
            flat = item.text in words.FLAT and _is_flat_word(anchor.window, index)
            if _sign_of(anchor.window, index) or item.text in sure or flat:
                self._add("unknown", item, f"{item.text!r}: {anchor.fact.id!r} is unknown.")
        colon = any(item.kind == "boundary" and item.text == ":" for item in anchor.window)
        label = any(note.token and note.token.path == "label" for note in anchor.notes)
        if not colon and not label and not any(text in words.HEDGED_FOR_UNKNOWN for text in texts):
            self._add("unknown", anchor, f"{anchor.fact.id!r} is unknown: say that it is, with 'is' or 'are'.")


def is_calm(bundle: Bundle) -> bool:
    """Whether the evidence lets anyone say that all is well: every division looked at, everything known, nothing
    flagged."""
    if any(not fact.known or fact.status == "stale" or fact.tie_out == "mismatched" for fact in bundle.facts):
        return False
    if any(bundle.rows(name) for name in ("concerns", "incidents", "risks")):
        return False
    divisions = bundle.rows("divisions")
    return bool(divisions) and all(row.mark == "ok" for row in divisions)


def _label_words(fact: Fact) -> frozenset[str]:
    return words.subject_words(fact.label) or frozenset({fact.label.lower()})


def _allowed_words(fact: Fact, label: frozenset[str]) -> frozenset[str]:
    allowed = set(label)
    for word in label:
        allowed |= words.RELATED.get(word, frozenset())
    if fact.unit == "score":
        allowed |= {"score", "health", "business"}
    if fact.about:
        allowed |= words.subject_words(fact.about)
    return frozenset(allowed)


def _comparison_name(anchor: Anchor) -> str | None:
    return anchor.measure.comparison.name if anchor.measure.comparison is not None else None


def _comparison_hits(anchor: Anchor) -> list[tuple[frozenset[Item], str]]:
    """The words of the window that say what the figure is compared with, and the comparison they name. Words that are
    the figure's own name ("Plan attainment") say nothing of the kind."""
    own = anchor.fact.label.lower().split()
    places: dict[int, Item] = {}
    phrase = ""
    for item in anchor.window:
        if item.kind == "word":
            places[len(phrase)] = item
        phrase += (item.text if item.kind == "word" else ".") + " "
    hits = []
    for pattern, name in words.COMPARISON_PHRASES:
        for hit in pattern.finditer(phrase):
            items = frozenset(item for place, item in places.items() if hit.start() <= place < hit.end())
            if not all(item.text in own for item in items):
                hits.append((items, name))
    return hits


def _comparison_words(anchor: Anchor) -> frozenset[Item]:
    return frozenset(item for items, _ in _comparison_hits(anchor) for item in items)


def _division_words(anchor: Anchor, bundle: Bundle) -> frozenset[Item]:
    """The words of a division's name of several words ("Supply Chain"): they say whose the figure is, not what."""
    names = [division.label.lower().split() for division in bundle.company.divisions]
    return frozenset().union(*(_places_of(anchor, name) for name in names if len(name) > 1))


def _turns(anchor: Anchor) -> frozenset[str]:
    """The words of direction in the figure's own name."""
    return frozenset(anchor.fact.label.lower().split()) & (words.UP | words.DOWN)


def _own_name(anchor: Anchor) -> frozenset[Item]:
    """The words of the figure's own label where it stands whole: the "less" of "ERP less shop" is no direction, the
    "days" of "Days of supply" no period."""
    return _places_of(anchor, [word.lower().replace("’", "'") for word in WORD.findall(anchor.fact.label)])


def _places_of(anchor: Anchor, name: list[str]) -> frozenset[Item]:
    """The words of the window that stand together as `name`, whatever punctuation is in between."""
    placed = anchor.words
    texts = [item.text for item in placed]
    found: set[Item] = set()
    for start in range(len(texts) - len(name) + 1):
        if name and texts[start : start + len(name)] == name:
            found.update(placed[start : start + len(name)])
    return frozenset(found)


def _named_comparisons(anchor: Anchor) -> list[str]:
    return list(dict.fromkeys(name for _, name in _comparison_hits(anchor)))


def _sign_of(items: tuple[Item, ...] | list[Item], index: int) -> int:
    """+1 or −1 for a word of direction, 0 for any other; "follow up" and the like are none."""
    text = items[index].text
    if text not in words.UP and text not in words.DOWN:
        return 0
    if index and items[index - 1].text in words.PARTICLE_VERBS:
        return 0
    return 1 if text in words.UP else -1


def _is_flat_word(items: tuple[Item, ...] | list[Item], index: int) -> bool:
    """ "Level with" is flat; a stock level is a noun."""
    return items[index].text != "level" or (index + 1 < len(items) and items[index + 1].text == "with")


def _period_label(fact: Fact) -> str:
    return fact.period.label if fact.period else "as it stands"


def _sign(delta: Decimal | None) -> str:
    return "unknown" if delta is None else "nil" if delta == 0 else "up" if delta > 0 else "down"

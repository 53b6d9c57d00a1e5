"""What people's words about one request may have led to: a model of a request, and the search for an order of them.

Belongs here: the rules of a request as its readers know them, written down once more and by themselves, and whether
what was seen from outside can have come about. Does not belong here: any code of the product.

Words that are said at the same time have no order, and one whose process was killed was taken or was not; so what is
asked is whether some order of them, in which nothing comes before what had ended when it began, explains every answer
that was given and everything that was done (Herlihy and Wing's linearizability).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

What = Literal["approve", "reject", "ask", "edit", "sweep"]
Answer = Literal["done", "refused"]
NEVER = float("inf")


@dataclass(slots=True)
class Word:
    """One word of a person's, or a sweep of what is overdue. `shown` is the text its giver was shown, `text` what an
    edit puts in its place. `now` are the moments at which it may have been taken, `begin` and `end` (on the test's
    clock) the span within which it was; infinite where it may still be. Without an `answer` it was taken or was not;
    `taken` says that it was received, so it was."""

    what: What
    person: str
    shown: str
    key: str
    now: list[datetime]
    begin: float
    text: str = ""
    end: float = NEVER
    answer: Answer | None = None
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a request stands: `versions` are (text, who made it), the last one counts; `said` the keys that were used,
    `lines` how many of its words its thread was told of."""

    phase: Literal["draft", "approved", "rejected", "expired"]
    versions: tuple[tuple[str, str], ...]
    said: frozenset[str] = frozenset()
    lines: int = 0


@dataclass(slots=True)
class Request:
    """What a request was when it was opened, and what was said about it. Nobody but `approvers` decides."""

    author: str
    text: str
    due: datetime
    approvers: frozenset[str]
    words: list[Word] = field(default_factory=list)

    def explains(self, done: Sequence[str], lines: int) -> bool:
        """Whether some order of the words leads to exactly these texts being done, and to so many lines."""
        return any(
            [stand.versions[-1][0]] * (stand.phase == "approved") == list(done)
            # Of what is done the thread is told twice: that it was put up, and what stands in the campaign tool.
            and stand.lines + 2 * (stand.phase == "approved") == lines
            for stand in self.ends()
        )

    def ends(self) -> set[Stand]:
        """Every state the words may have led to."""
        begin = Stand("draft", ((self.text, self.author),))
        seen: set[tuple[frozenset[int], Stand]] = set()
        found: set[Stand] = set()
        waiting = [(frozenset(range(len(self.words))), begin)]
        while waiting:
            left, stand = waiting.pop()
            if (left, stand) in seen:
                continue
            seen.add((left, stand))
            if not left:
                found.add(stand)
            first_end = min((self.words[place].end for place in left), default=NEVER)
            for place in left:
                if self.words[place].begin <= first_end:
                    waiting += [(left - {place}, after) for after in self._after(stand, self.words[place])]
        return found

    @staticmethod
    def _may_be_lost(word: Word) -> bool:
        return word.answer is None and not word.taken

    def _after(self, stand: Stand, word: Word) -> Iterator[Stand]:
        if self._may_be_lost(word):
            yield stand
        for now in word.now:
            answer, after = self._taken(stand, word, now)
            if word.answer in (None, answer):
                yield after

    def _taken(self, stand: Stand, word: Word, now: datetime) -> tuple[Answer, Stand]:
        if word.key in stand.said:
            return "done", stand  # the very same word again
        if stand.phase == "draft" and now >= self.due:
            told = Stand("expired", stand.versions, stand.said, stand.lines + 1)
            return ("done" if word.what == "sweep" else "refused"), told
        if word.what == "sweep":
            return "done", stand
        if stand.phase != "draft" or not self._may(stand, word):
            return "refused", stand
        phase = {"approve": "approved", "reject": "rejected"}.get(word.what, "draft")
        versions = (*stand.versions, (word.text, word.person)) if word.what == "edit" else stand.versions
        return "done", Stand(phase, versions, stand.said | {word.key}, stand.lines + 1)  # type: ignore[arg-type]

    def _may(self, stand: Stand, word: Word) -> bool:
        if word.what == "ask":
            return True
        if word.shown != stand.versions[-1][0]:
            return False
        if word.what == "approve":  # nobody approves what he asked for, or wrote a version of
            return word.person in self.approvers and all(maker != word.person for _, maker in stand.versions)
        return word.person in self.approvers or word.person == self.author

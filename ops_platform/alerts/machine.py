"""The state machine of one subject: from looks to states, and nothing else.

Belongs here: the states, the only ways between them, and the pure step that one signal makes. Does not belong here:
storage (`store.py`), several subjects together (`grouping.py`), what is said about it (`telling.py`).

    quiet       nothing is the matter, or nobody has looked yet
    pending     breached, not often enough to open
    open        breached for as long as the policy asks
    worsening   open, and beyond what was told by the policy's factor or in severity
    recovering  was open, the newest look is clear, not yet for long enough
    resolved    over
    lapsed      was pending and never opened

A look that finds `unknown` moves nothing: it is remembered since when, and that is all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ops_platform.alerts.signal import Severity
from ops_platform.failures import OpsError
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from ops_platform.alerts.signal import Signal
    from ops_platform.fleet.alert_policy import Persistence


class State(StrEnum):
    QUIET = "quiet"
    PENDING = "pending"
    OPEN = "open"
    WORSENING = "worsening"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    LAPSED = "lapsed"


class Event(StrEnum):
    """What can happen to a subject."""

    NOTICED = "noticed"  # the first breach
    OPENED = "opened"  # k of n
    LAPSED = "lapsed"  # did not last
    WORSENED = "worsened"
    STEADIED = "steadied"  # still out, no worse than told
    EASED = "eased"  # the first clear look
    RELAPSED = "relapsed"  # out again before it was over
    RESOLVED = "resolved"
    UNSEEN = "unseen"  # nobody has looked for so long that it is closed without knowing


class IllegalTransitionError(OpsError):
    """Somebody tried to move a subject in a way the table does not know; nothing was changed."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.QUIET, Event.NOTICED): State.PENDING,
    (State.RESOLVED, Event.NOTICED): State.PENDING,
    (State.LAPSED, Event.NOTICED): State.PENDING,
    (State.PENDING, Event.OPENED): State.OPEN,
    (State.PENDING, Event.LAPSED): State.LAPSED,
    (State.OPEN, Event.WORSENED): State.WORSENING,
    (State.WORSENING, Event.WORSENED): State.WORSENING,
    (State.WORSENING, Event.STEADIED): State.OPEN,
    (State.OPEN, Event.EASED): State.RECOVERING,
    (State.WORSENING, Event.EASED): State.RECOVERING,
    (State.RECOVERING, Event.RELAPSED): State.OPEN,
    (State.RECOVERING, Event.RESOLVED): State.RESOLVED,
    (State.PENDING, Event.UNSEEN): State.LAPSED,
    (State.OPEN, Event.UNSEEN): State.RESOLVED,
    (State.WORSENING, Event.UNSEEN): State.RESOLVED,
    (State.RECOVERING, Event.UNSEEN): State.RESOLVED,
}

#: States in which something was found and is not over.
STANDING: frozenset[State] = frozenset({State.OPEN, State.WORSENING, State.RECOVERING})
#: States whose newest conclusive look is a breach.
OUT: frozenset[State] = frozenset({State.PENDING, State.OPEN, State.WORSENING})


def after(state: State, event: Event) -> State:
    """The state that `event` leads to. Raises `IllegalTransitionError` when the table has no such way."""
    try:
        return TRANSITIONS[(state, event)]
    except KeyError:
        raise IllegalTransitionError(f"a subject that is {state} cannot be {event}") from None


class Verdict(StrEnum):
    """What a look says of its limit. `NEAR` is inside it, but not by enough to call it clear."""

    OUT = "out"
    NEAR = "near"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Look:
    """One conclusive look. `observed_at` orders looks at the same day."""

    period: date
    observed_at: datetime
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Condition:
    """A subject as the machine knows it.

    `episode` counts the times it left quiet; `looks` are the newest conclusive ones, oldest first, since the episode
    began. `severity`, `closeness` and `effect` are those of the worst that was reached at its opening or last
    worsening: what the next worsening is measured against. `unknown_since` is set while looks find nothing out."""

    state: State = State.QUIET
    episode: int = 0
    looks: tuple[Look, ...] = ()
    severity: Severity = Severity.WATCH
    closeness: Decimal | None = None
    effect: Decimal | None = None
    since: date | None = None
    unknown_since: datetime | None = None
    seen_at: datetime | None = None

    @property
    def newest(self) -> Look | None:
        return self.looks[-1] if self.looks else None


@dataclass(frozen=True, slots=True)
class Step:
    """What one signal did. `ignored` says why it did nothing at all; `conclusive` whether it was a new look."""

    condition: Condition
    events: tuple[Event, ...] = ()
    ignored: str | None = None
    conclusive: bool = False


def step(
    condition: Condition, signal: Signal, rule: Persistence, *, worsening: Decimal, resolve: int | None = None
) -> Step:
    """The condition after `signal`. Pure: the same two give the same step for ever.

    A signal no newer than the newest look (by day, then by moment) is ignored, so handling it again changes nothing;
    of two that are new, the earlier day must come first. Where a look is a day, a
    newer look at the same day corrects the one before. `resolve` overrides the rule's number of clear looks."""
    newest = condition.newest
    if newest is not None and (signal.period, signal.observed_at) <= (newest.period, newest.observed_at):
        return Step(condition, ignored="no newer than what was looked at before")
    seen_at = max(condition.seen_at or signal.observed_at, signal.observed_at)
    if signal.found is Finding.UNKNOWN:
        if condition.unknown_since is not None and seen_at == condition.seen_at:
            return Step(condition, ignored="known to be unknown")
        return Step(replace(condition, unknown_since=condition.unknown_since or signal.observed_at, seen_at=seen_at))
    look = Look(signal.period, signal.observed_at, _verdict(signal, rule))
    corrects = rule.look == "day" and newest is not None and newest.period == signal.period
    looks = (*(condition.looks[:-1] if corrects else condition.looks), look)
    kept = max(rule.of, rule.resolve, resolve or 1)
    current = replace(condition, looks=looks[-kept:], unknown_since=None, seen_at=seen_at)
    return _concluded(current, signal, look, rule, worsening, resolve or rule.resolve)


def route(state: State, target: State) -> tuple[Event, ...]:
    """The shortest way from one state to another through the table, closing unseen left out; empty where they are the
    same. Raises `IllegalTransitionError` when there is none."""
    ways: dict[State, tuple[Event, ...]] = {state: ()}
    waiting = [state]
    while waiting:
        at = waiting.pop(0)
        if at is target:
            return ways[at]
        for (start, event), end in TRANSITIONS.items():
            if start is at and event is not Event.UNSEEN and end not in ways:
                ways[end] = (*ways[at], event)
                waiting.append(end)
    raise IllegalTransitionError(f"there is no way from {state} to {target}")


def unseen(condition: Condition) -> Step:
    """Close what nobody looks at any more, without claiming that it is over."""
    event = Event.UNSEEN
    return Step(replace(condition, state=after(condition.state, event)), (event,))


def is_worse(condition: Condition, signal: Signal, factor: Decimal) -> bool:
    """Whether the signal is beyond what the condition was last told at: a severity more, or `factor` times as far from
    its limit or as large in effect."""
    if signal.severity.rank > condition.severity.rank:
        return True
    for now, then in ((signal.closeness, condition.closeness), (_size(signal), condition.effect)):
        if now is not None and then is not None and then > 0:
            return now >= factor * then
    return False


def clear_run(looks: tuple[Look, ...]) -> int:
    """How many of the newest looks in a row are clear."""
    run = 0
    for look in reversed(looks):
        if look.verdict is not Verdict.CLEAR:
            break
        run += 1
    return run


def _verdict(signal: Signal, rule: Persistence) -> Verdict:
    if signal.found is Finding.BREACHED:
        return Verdict.OUT
    near = signal.closeness is not None and signal.closeness > rule.clear_below
    return Verdict.NEAR if near else Verdict.CLEAR


def _size(signal: Signal) -> Decimal | None:
    effect = signal.effect_money if signal.effect_money is not None else signal.effect
    return None if effect is None else abs(effect)


def _measured(condition: Condition, signal: Signal) -> Condition:
    """The mark the next worsening is measured against."""
    worst = max(condition.severity, signal.severity, key=lambda severity: severity.rank)
    return replace(condition, severity=worst, closeness=signal.closeness, effect=_size(signal))


def _moved(condition: Condition, event: Event) -> Condition:
    return replace(condition, state=after(condition.state, event))


def _concluded(
    condition: Condition, signal: Signal, look: Look, rule: Persistence, worsening: Decimal, resolve: int
) -> Step:
    events: list[Event] = []

    def move(event: Event) -> None:
        nonlocal condition
        condition = _moved(condition, event)
        events.append(event)

    if look.verdict is Verdict.OUT:
        if condition.state in (State.QUIET, State.RESOLVED, State.LAPSED):
            move(Event.NOTICED)
            condition = replace(
                condition,
                episode=condition.episode + 1,
                looks=(look,),
                severity=Severity.WATCH,
                since=signal.since or signal.period,
            )
        if condition.state is State.PENDING:
            breached = sum(seen.verdict is Verdict.OUT for seen in condition.looks[-rule.of :])
            if breached >= rule.open:
                move(Event.OPENED)
                condition = _measured(condition, signal)
        elif condition.state is State.RECOVERING:
            move(Event.RELAPSED)
            if is_worse(condition, signal, worsening):
                move(Event.WORSENED)
                condition = _measured(condition, signal)
        elif is_worse(condition, signal, worsening):
            move(Event.WORSENED)
            condition = _measured(condition, signal)
        elif condition.state is State.WORSENING:
            move(Event.STEADIED)
    elif condition.state is State.PENDING:
        # It lapses when even a breach at the next look could no longer count with one of these.
        recent = condition.looks[-(rule.of - 1) :] if rule.of > 1 else ()
        if not any(seen.verdict is Verdict.OUT for seen in recent):
            move(Event.LAPSED)
    elif condition.state in STANDING and look.verdict is Verdict.CLEAR:
        if condition.state is not State.RECOVERING:
            move(Event.EASED)
        if clear_run(condition.looks) >= resolve:
            move(Event.RESOLVED)
    if condition.state not in STANDING and condition.state is not State.PENDING:
        condition = replace(condition, looks=condition.looks[-1:])
    return Step(condition, tuple(events), conclusive=True)

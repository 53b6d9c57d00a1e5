"""The rules on texts: assessing what stands in an issue, an answer or a proposed file, once for each text.

Belongs here: finding what a rule forbids, and the record of it (assessments, violations, suggestions). Does not belong
here: the rules (`work_orders.yaml`), what makes a pattern harmless (`patterns.py`), what follows for an order.

Violations keep where and how often, never the text: a secret in an issue must not get a second home here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from ops_platform import clock
from ops_platform.failures import DataFailure
from ops_platform.work_orders.policy import ACTIONS, SEVERITIES, PolicyRule, PolicyStore, Scope

if TYPE_CHECKING:
    import psycopg

# What a violation takes from the score of 100.
COST = {"low": 5, "medium": 15, "high": 30, "critical": 60}
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Violation:
    """`occurrences` in the text, the first at character `first_at` of the text with every run of white space as one."""

    rule: str
    category: str
    severity: str
    action: str
    occurrences: int
    first_at: int
    mitigation: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """`action` is the strictest of its violations, `allow` without any; `score` falls from 100."""

    content_hash: str
    action: str
    score: int
    violations: tuple[Violation, ...]

    @property
    def reason(self) -> str:
        """In words: what was found, and what a person does about the strictest of it."""
        if not self.violations:
            return "nothing that a rule forbids"
        found = ", ".join(f"{each.rule} ({each.severity})" for each in self.violations)
        return f"{found}. {self.violations[0].mitigation}"


def assess(text: str, scope: Scope, store: PolicyStore) -> Assessment:
    """What the rules of this scope say of a text; pure. The gravest violation first."""
    flat = _SPACE.sub(" ", text)
    found = []
    for name, rule in store.rules.items():
        if not rule.enabled or scope not in rule.scope:
            continue
        hits = [
            match.start()
            for match in _compiled(rule.pattern).finditer(flat)
            if rule.checksum is None or _luhn(match.group())
        ]
        if hits:
            found.append(
                Violation(name, rule.category, rule.severity, rule.action, len(hits), hits[0], rule.mitigation)
            )
    found.sort(key=lambda one: (-ACTIONS.index(one.action), -SEVERITIES.index(one.severity), one.rule))
    score = max(0, 100 - sum(COST[one.severity] for one in found))
    return Assessment(
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        found[0].action if found else "allow", score, tuple(found),
    )  # fmt: skip


def _luhn(text: str) -> bool:
    """Whether the digits of a text are a card's: the last one checks the others."""
    digits = [int(each) for each in text if each in "0123456789"][::-1]
    doubled = [each * 2 - 9 if each > 4 else each * 2 for each in digits[1::2]]
    return bool(digits) and (sum(digits[::2]) + sum(doubled)) % 10 == 0


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def keep(
    connection: psycopg.Connection[Any],
    subject: str,
    text: str,
    scope: Scope,
    store: PolicyStore,
    *,
    work_id: int | None = None,
    at: datetime | None = None,
) -> Assessment:
    """Assess a text and write down what was found, once for the same text under the same rules."""
    made = assess(text, scope, store)
    with connection.transaction():
        row = connection.execute(
            """insert into ops.work_assessments
                   (subject, content_hash, rules_hash, work_id, action, score, assessed_at)
               values (%s, %s, %s, %s, %s, %s, %s)
               on conflict (subject, content_hash, rules_hash) do update
                   set work_id = coalesce(work_assessments.work_id, excluded.work_id)
               returning id, xmax = 0""",
            (subject[:300], made.content_hash, store.digest, work_id, made.action, made.score, at or clock.now()),
        ).fetchone()
        assert row is not None
        if row[1]:
            with connection.cursor() as cursor:
                cursor.executemany(
                    """insert into ops.work_violations
                           (assessment_id, rule, category, severity, action, occurrences, first_at, mitigation)
                       values (%s, %s, %s, %s, %s, %s, %s, %s)""",
                    [
                        (
                            row[0], each.rule, each.category, each.severity, each.action, each.occurrences,
                            each.first_at, each.mitigation,
                        )
                        for each in made.violations
                    ],
                )  # fmt: skip
    return made


# Suggestions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change of the rules that their record suggests, for a person to take or refuse."""

    key: str
    rule: str
    words: str
    facts: dict[str, Any]


def suggest(
    connection: psycopg.Connection[Any], store: PolicyStore, *, days: int = 30, at: datetime | None = None
) -> list[Suggestion]:
    """Look at how the rules did over the last `days` and write new suggestions down; returns the new ones. Two kinds: a
    rule that held orders which people then let through unchanged, and a rule that only notes what is found often."""
    now = at or clock.now()
    rows = connection.execute(
        """select broken.rule, count(distinct orders.id),
               count(distinct orders.id) filter (
                   where exists (
                       select from ops.work_decisions as decided
                       where decided.work_id = orders.id and decided.decision = 'let_through'
                   )
               )
           from ops.work_violations as broken
           join ops.work_assessments as assessed on assessed.id = broken.assessment_id
           join ops.work_orders as orders on orders.id = assessed.work_id
           where assessed.assessed_at >= %s and assessed.assessed_at <= %s
           group by broken.rule order by broken.rule""",
        (now - timedelta(days=days), now),
    )
    made = []
    for name, orders, let_through in rows.fetchall():
        rule = store.rules.get(name)
        if rule is None:
            continue
        for judge in (_too_strict, _often):
            suggestion = judge(name, rule, int(orders), int(let_through), now)
            if suggestion is not None and _write(connection, suggestion, now):
                made.append(suggestion)
    return made


def _too_strict(name: str, rule: PolicyRule, orders: int, let_through: int, now: datetime) -> Suggestion | None:
    if rule.action != "hold" or orders < 5 or let_through * 5 < orders * 4:
        return None
    words = f"{name} held {orders} orders and people let {let_through} of them through unchanged: warn instead of hold?"
    facts = {"orders": orders, "let_through": let_through}
    return Suggestion(f"too_strict:{name}:{now:%Y-%m}", name, words, facts)


def _often(name: str, rule: PolicyRule, orders: int, let_through: int, now: datetime) -> Suggestion | None:
    if rule.action != "note" or SEVERITIES.index(rule.severity) < 1 or orders < 10:
        return None
    words = f"{name} ({rule.severity}) was found in {orders} orders and only noted: should somebody be warned?"
    return Suggestion(f"often:{name}:{now:%Y-%m}", name, words, {"orders": orders})


def _write(connection: psycopg.Connection[Any], suggestion: Suggestion, at: datetime) -> bool:
    from psycopg.types.json import Jsonb

    row = connection.execute(
        "insert into ops.work_suggestions (key, rule, words, facts, made_at) values (%s, %s, %s, %s, %s)"
        " on conflict (key) do nothing returning id",
        (suggestion.key, suggestion.rule, suggestion.words, Jsonb(suggestion.facts), at),
    ).fetchone()
    return row is not None


def decide_suggestion(
    connection: psycopg.Connection[Any], key: str, verdict: Literal["taken", "refused"], by: str,
    *, at: datetime | None = None,
) -> None:  # fmt: skip
    """A person takes or refuses a suggestion; the file is changed by hand. Raises `DataFailure` where none is open."""
    row = connection.execute(
        "update ops.work_suggestions set state = %s, decided_by = %s, decided_at = %s where key = %s"
        " and state = 'open' returning id",
        (verdict, by, at or clock.now(), key),
    ).fetchone()
    if row is None:
        raise DataFailure(f"there is no open suggestion {key!r}")

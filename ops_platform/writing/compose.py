"""Who writes: Claude where it may and can, rules where it may not or could not, and always somebody in time.

Belongs here: the order write → check → one repair → check → rules, and the sentence that says which of them it
was. Does not belong here: how a writer works, what is allowed (`claims.py`).

Nothing a model does keeps a document from appearing: an outage, an empty budget, a refusal, nonsense or malice
all end in the rule-based writer, within the Claude writer's time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ops_platform.failures import DataFailure, OpsError
from ops_platform.writing import claims

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.claims import Violation
    from ops_platform.writing.claude import ClaudeWriter
    from ops_platform.writing.draft import Draft, Writer, WritingBrief

log = logging.getLogger(__name__)

NO_MODEL = "no model is connected"
NOTHING_TO_WRITE = "there is no sentence to write"
Check = Callable[["Draft", "Bundle", "WritingBrief"], "Sequence[Violation]"]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, by whom and why. `model_output` is the record to store with the document (None when no
    model was asked); `attempts` counts the model's drafts; `violations` are why its last draft was refused.
    `ledger_ids` are the calls to attach to the document; `alert` is true from 80 % of the fleet's tokens."""

    draft: Draft
    writer_name: str
    model_output: dict[str, Any] | None
    attempts: int
    violations: tuple[Violation, ...]
    note: str
    ledger_ids: tuple[int, ...] = ()
    alert: bool = False


def write(
    bundle: Bundle,
    brief: WritingBrief,
    *,
    rules: Writer,
    claude: ClaudeWriter | None = None,
    why_not: str = NO_MODEL,
    check: Check = claims.check,
) -> Written:
    """A draft that passed `check`, from Claude when there is one and it manages, else from `rules`.

    `why_not` is the reason to give when `claude` is None. Raises `DataFailure` only where the rules themselves
    write what may not be published, which is a defect of ours."""
    if claude is None or not brief.slots:
        return _by_rules(bundle, brief, rules, why_not if claude is None else NOTHING_TO_WRITE, check)
    attempts = 0
    violations: Sequence[Violation] = ()
    try:
        draft = claude.write(bundle, brief)
        attempts = 1
        violations = check(draft, bundle, brief)
        if violations:
            draft = claude.repair(bundle, brief, draft, violations)
            attempts = 2
            violations = check(draft, bundle, brief)
        reason = refusal(violations)
    except OpsError as error:
        reason = f"Claude: {error}"
        if violations:
            reason = f"Claude's draft was refused ({refusal(violations)}), and then: {error}"
    except Exception as error:  # a defect in the model's path must not cost the document
        log.exception("the Claude writer failed in an unforeseen way")
        reason = f"Claude failed in an unforeseen way ({type(error).__name__})"
    else:
        if not violations:
            note = f"written by Claude ({claude.model_id})" + (" after one repair" if attempts == 2 else "")
            return Written(
                draft=replace(draft, note=note),
                writer_name="claude",
                model_output=_record(claude, note),
                attempts=attempts,
                violations=(),
                note=_with_alert(note, claude),
                ledger_ids=tuple(claude.ledger_ids),
                alert=claude.alert,
            )
        reason = f"Claude's draft was refused twice ({reason})"
    log.warning("falling back to rules: %s", reason)
    written = _by_rules(bundle, brief, rules, reason, check)
    return replace(
        written,
        model_output=_record(claude, written.note) if claude.calls else None,
        attempts=attempts,
        violations=tuple(violations),
        note=_with_alert(written.note, claude),
        ledger_ids=tuple(claude.ledger_ids),
        alert=claude.alert,
    )


def refusal(violations: Sequence[Violation]) -> str:
    """Why a draft was refused, in short: the kinds of its violations, most frequent first."""
    kinds = Counter(violation.kind for violation in violations)
    return ", ".join(kind if times == 1 else f"{kind} ×{times}" for kind, times in kinds.most_common())


def _by_rules(bundle: Bundle, brief: WritingBrief, rules: Writer, reason: str, check: Check) -> Written:
    note = f"written by rules: {reason}"
    draft = replace(rules.write(bundle, brief), note=note)
    violations = check(draft, bundle, brief)
    if violations:
        first = violations[0]
        raise DataFailure(
            f"The rule-based writer broke the rules ({refusal(violations)}): {first.slot}: {first.message}"
        )
    return Written(draft, "rules", None, 0, (), note)


def _record(claude: ClaudeWriter, note: str) -> dict[str, Any]:
    return {"calls": [call.to_json() for call in claude.calls], "note": note}


def _with_alert(note: str, claude: ClaudeWriter) -> str:
    return f"{note}; over 80% of the fleet's tokens are taken" if claude.alert else note

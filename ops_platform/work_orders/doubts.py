"""What speaks against starting with the words of an issue.

Belongs here: whether they are those that an authorised person read, and whether a rule forbids them; pure. Does not
belong here: what becomes of an order that is held (`receiving.py`), the rules on texts (`policy_store.py`).
"""

from __future__ import annotations

from datetime import datetime

from ops_platform.work_orders import policy_store
from ops_platform.work_orders.mirror import SAME_EVENT, KnownIssue
from ops_platform.work_orders.model import IssueSeen
from ops_platform.work_orders.policy import WorkPolicy

EDITED = "edited after it was labelled"
RACED = "edited just when it was labelled"
UNPROVEN = "its words may have changed since it was labelled"
TOO_LARGE = "its text is too large"
FORBIDDEN = "its text breaks a rule"


def words_of(issue: KnownIssue, policy: WorkPolicy) -> str:
    """Title and body, as far as they are read."""
    return f"{issue.title}\n{issue.body[: policy.intake.largest_body]}"


def reason_to_hold(
    issue: KnownIssue,
    seen: IssueSeen,
    before: KnownIssue | None,
    bound_at: datetime,
    policy: WorkPolicy,
    *,
    let_through: bool = False,
) -> str | None:
    """Why an order bound at `bound_at` waits for an authorised person; None where nothing speaks against it. `before`
    is what was known before this sight. With `let_through`, somebody has read the words and labelled them again."""
    largest = policy.intake.largest_body
    length = seen.original_length or len(issue.body)
    if length > largest:
        return f"{TOO_LARGE}: {length:,} characters, and {largest:,} are read. Shorten it and label it again"
    doubt = doubt_about_words(issue, seen, before, bound_at, policy)
    if doubt is not None:
        return doubt
    found = policy_store.assess(words_of(issue, policy), "issue", policy.policy_store)
    if found.action == "block" or (found.action == "hold" and not let_through):
        return f"{FORBIDDEN}: {found.reason}"
    return None


def doubt_about_words(
    issue: KnownIssue, seen: IssueSeen, before: KnownIssue | None, bound_at: datetime, policy: WorkPolicy
) -> str | None:
    """Why the words may be others than those the labeller read; None where they are proven to be the same."""
    edit, race = issue.edited, policy.intake.race
    if edit is not None and not edit.authorised and abs(edit.at - bound_at) <= race and edit.at >= issue.created_at:
        return f"{RACED} ({edit.by}, {edit.at:%H:%M:%S} UTC). Read it and label it again"
    if edit is not None and edit.at > bound_at and not edit.authorised:
        return f"{EDITED} by {edit.by}. Read it and label it again"
    if _is_the_act(seen, before, bound_at):
        return None  # GitHub sends the words with the very act
    if seen.author_authorised:
        return None  # nobody but him and those who may write can have changed them
    # GitHub tells times by the second, and a change of the words not at all: that nothing changed since the label is
    # known only of words that were seen before it.
    if before is not None and before.body_hash == issue.body_hash and before.updated_at < bound_at:
        return None
    return f"{UNPROVEN}, and what changed it is not known. Read it and label it again"


def _is_the_act(seen: IssueSeen, before: KnownIssue | None, bound_at: datetime) -> bool:
    """Whether this sight is the webhook of the very act that the words are bound to."""
    return (
        seen.action in ("labeled", "reopened", "edited")
        and seen.actor_authorised
        and abs(seen.updated_at - bound_at) <= SAME_EVENT
        and (before is None or seen.updated_at >= before.updated_at)
    )

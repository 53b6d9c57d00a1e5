"""Who may say what about a request.

Belongs here: recognising a person, and the rules of who may decide. Does not belong here: who may press buttons at all
(`resources/slack_interactions.py`), what a decision does (`inbox.py`).

Nobody approves what is his own. Two names that arrive by different ways may be one person, so where `fleet.yaml` does
not say who is who, such a pair counts as one: it fails closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.approvals.model import JOB, Person
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops_platform.approvals.model import Approval, Version
    from ops_platform.fleet.approval_policy import ApprovalPolicy

_HOW_TO = "name the people under approvals.people in fleet.yaml"


def person_of_slack(policy: ApprovalPolicy, member: str, name: str) -> Person:
    """Who a member of the workspace is, who was looked up there."""
    for known, entry in policy.people.items():
        if entry.slack == member:
            return Person(known, entry.name, f"slack:{member}")
    return Person(f"slack:{member}", name, f"slack:{member}")


def person_at_terminal(policy: ApprovalPolicy, account: str, called: str | None = None) -> Person:
    """Who types under `account`. `called` names somebody of `fleet.yaml` where several people share an account; an
    account that is somebody's own speaks for nobody else. Raises `DataFailure`."""
    owner = next((known for known, entry in policy.people.items() if entry.account == account), None)
    if called is not None and called not in policy.people:
        raise DataFailure(f"there is no {called!r} under approvals.people in fleet.yaml")
    if owner is not None and called not in (None, owner):
        raise DataFailure(f"this account is {owner}'s: {called} decides under an account of their own, or in Slack")
    known = owner or called
    if known is None:
        return Person(f"account:{account}", account, f"cli:{account}")
    return Person(known, policy.people[known].name, f"cli:{account}")


def check_assignee(policy: ApprovalPolicy, assignee: str) -> None:
    """Whether there is such a person to see to a request. Raises `DataFailure`."""
    if assignee not in policy.people:
        raise DataFailure(f"there is no {assignee!r} to assign it to: {_HOW_TO}")


def check_may_decide(policy: ApprovalPolicy, approval: Approval, person: Person) -> None:
    """Whether this person's yes or no counts on requests of this kind. Raises `DataFailure`."""
    approvers = policy.rule(approval.kind).approvers
    if approvers and person.id not in approvers:
        names = ", ".join(policy.people[name].name for name in approvers)
        raise DataFailure(f"this is for {names} to decide")


def check_may_approve(policy: ApprovalPolicy, approval: Approval, versions: Sequence[Version], person: Person) -> None:
    """Whether this person may approve the version that counts now. Raises `DataFailure`."""
    if person.id.startswith(JOB):
        raise DataFailure("a job cannot approve anything: a person does")
    check_may_decide(policy, approval, person)
    _check_not_own(policy, person, approval.author, "asked for it")
    if not policy.rule(approval.kind).editor_may_approve:
        for version in versions:
            _check_not_own(policy, person, version.made_by, f"wrote version {version.number}")


def _check_not_own(policy: ApprovalPolicy, person: Person, maker: str, did: str) -> None:
    if maker.startswith(JOB):
        return
    if maker == person.id:
        raise DataFailure(f"you {did}: somebody else has to approve it")
    ways = {known.partition(":")[0] for known in (maker, person.id) if known not in policy.people}
    both_by_one_way = len(ways) == 1 and maker not in policy.people and person.id not in policy.people
    if ways and not both_by_one_way:
        raise DataFailure(f"it cannot be told whether it was you who {did}: {_HOW_TO}")

"""Steps that open an inbox thread: a growth review, a campaign, an incident.

Belongs here: from a step to a request, its payload by the kind of thread, what lies beside it. Does not belong here:
what a kind means and what a yes does (`ops_platform.approvals`).

The machine asks and never answers: nothing here decides. While a thread on the same matter waits, no second one is
opened; a campaign that was made anew is a new version of the one that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ops_platform import clock
from ops_platform.failures import DataFailure
from ops_platform.playbooks import expressions
from ops_platform.playbooks.tools import Effect, StepContext, Toolbox, ToolOutput

if TYPE_CHECKING:
    from ops_platform.approvals.inbox import Inbox
    from ops_platform.approvals.model import Approval
    from ops_platform.fleet import Fleet
    from ops_platform.playbooks.model import CreateThread, Playbook

TITLE_MOST = 150


class Thread(ToolOutput):
    """The thread that stands for the matter now."""

    thread_id: int
    kind: str
    subject: str
    opened: bool = Field(description="False where one on this matter was open already.")
    version: int
    state: str = Field(description="draft: waits for somebody's word.")
    assignee: str | None
    fingerprint: str = Field(description="Of exactly the payload that is shown.")


class CreateThreadRunner:
    """Implements `Runner`. `inbox` gives the company's inbox, asked when a step runs."""

    def __init__(self, fleet: Callable[[], Fleet], inbox: Callable[[], Inbox]) -> None:
        self._fleet, self._inbox = fleet, inbox

    def output(self, step: CreateThread, tools: Toolbox) -> type[ToolOutput]:
        return Thread

    def problems(self, step: CreateThread, playbook: Playbook, tools: Toolbox) -> list[tuple[str, str]]:
        found = []
        people = self._fleet().approvals.people
        if step.assignee is not None and not expressions.slots(step.assignee) and step.assignee not in people:
            named = ", ".join(people) or "nobody"
            found.append(("assignee", f"there is no {step.assignee!r} under approvals.people; there is {named}"))
        if step.thread == "campaign":
            if set(step.payload) != {"campaign"}:
                found.append(("payload", "a campaign's payload is `campaign: ${{ steps.….result.payload }}`"))
            if not step.needs_approval:
                found.append(("needs_approval", "a campaign always needs approval: set needs_approval: true"))
        elif set(step.payload) - {"about"}:
            found.append(("payload", "a thread of this kind takes only `about`: what makes it another than the last"))
        if step.thread != "campaign" and step.text is None and step.report is None:
            found.append(("type", "there is nothing to read: give it a text or a report"))
        return found

    def effect(self, step: CreateThread, tools: Toolbox) -> Effect:
        return "writes"

    def timeout_seconds(self, step: CreateThread, tools: Toolbox) -> int:
        return 60

    def run(self, step: CreateThread, given: Mapping[str, Any], context: StepContext, tools: Toolbox) -> Thread:
        from ops_platform.approvals import store
        from ops_platform.approvals.model import JOB, State

        inbox = self._inbox()
        subject = str(given.get("subject") or context.key)[:200]
        author = f"{JOB}{context.playbook}"
        before, now = store.newest_on(context.connection, step.thread, subject), clock.now()
        waits = before is not None and before.state is State.DRAFT and now < before.due_at
        if before is not None and waits and step.thread == "incident":
            context.log(f"thread #{before.id} on {subject} is open already")
            return _thread(before, opened=False)
        approval = inbox.request(
            context.connection, kind=step.thread, subject=subject,
            title=" ".join(str(given["title"]).split())[:TITLE_MOST],
            payload=self._payload(step, given, context, subject), author=author,
            channel_key=inbox.policy.rule(step.thread).channel, due_at=now + timedelta(hours=step.due_hours), now=now,
            assignee=str(given["assignee"]) if given.get("assignee") else None,
        )  # fmt: skip
        if step.report is not None:
            self._attach(inbox, approval, step.report, context)
        return _thread(approval, opened=before is None or before.id != approval.id)

    @staticmethod
    def _payload(
        step: CreateThread, given: Mapping[str, Any], context: StepContext, subject: str
    ) -> dict[str, Any]:  # fmt: skip
        from ops_platform.approvals import thread_subjects

        if step.thread == "campaign":
            campaign = (given.get("payload") or {}).get("campaign")
            if not isinstance(campaign, Mapping):
                raise DataFailure("there is no campaign to ask about")
            return dict(campaign)
        about = str((given.get("payload") or {}).get("about") or subject)
        actions = _actions(context, step.report) if step.thread == "growth_review" and step.needs_approval else []
        return thread_subjects.payload(
            about, str(given.get("text") or ""), _document(context, step.report), actions
        )  # fmt: skip

    @staticmethod
    def _attach(inbox: Inbox, approval: Approval, report: str, context: StepContext) -> None:
        """The whole report beside the thread, as a page that opens anywhere."""
        from ops_platform.approvals.model import JOB, Person
        from ops_platform.approvals.threads import attach
        from ops_platform.documents import html
        from ops_platform.writing.archive import load

        if report not in context.results:
            return
        number = int(getattr(context.results[report], "document_id", 0))
        document = load(context.connection, number).document
        person = Person(f"{JOB}{context.playbook}", context.playbook_name, f"{JOB}{context.playbook}")
        name = f"{context.playbook}-{number}.html"
        attach(
            context.connection, inbox, approval.id, name, html.render(document).encode(), person=person,
            key=f"attached:{approval.id}:{name}", now=clock.now(),
        )  # fmt: skip


def _document(context: StepContext, report: str | None) -> dict[str, Any] | None:
    if report is None or report not in context.results:
        return None
    from ops_platform.writing.archive import load

    archived = load(context.connection, int(getattr(context.results[report], "document_id", 0)))
    return {"id": archived.id, "digest": archived.digest, "job": archived.job}


def _actions(context: StepContext, report: str | None) -> list[dict[str, Any]]:
    """What the report asks for, as the plan that a yes accepts."""
    planned = getattr(context.results.get(report or ""), "actions", [])
    return [
        {
            "subject": each.subject, "what": each.what, "about": each.about, "severity": each.severity,
            "owner": each.owner, "due_days": each.due_days,
        }
        for each in planned
    ]  # fmt: skip


def _thread(approval: Approval, *, opened: bool) -> Thread:
    return Thread(
        thread_id=approval.id, kind=approval.kind, subject=approval.subject, opened=opened, version=approval.version,
        state=approval.state.value, assignee=approval.assignee, fingerprint=approval.payload_hash,
    )  # fmt: skip

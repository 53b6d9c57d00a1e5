"""Incident threads that are settled by themselves: what was out is back.

Belongs here: taking back what a playbook asked. Does not belong here: opening a thread (`runners/create_thread.py`),
deciding: a machine never says yes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from ops_platform import clock
from ops_platform.playbooks.tools import StepContext, Tool, ToolInput, ToolOutput

if TYPE_CHECKING:
    from ops_platform.approvals.inbox import Inbox


class CloseInput(ToolInput):
    subject: str = Field(min_length=1, max_length=200, description="What the thread is about, as it was opened.")
    words: str = Field(default="It is over by itself.", max_length=300, description="What is told in the thread.")


class Closed(ToolOutput):
    closed: int = Field(description="1 where a thread of this playbook was open and is closed now, else 0.")
    thread_id: int | None


class CloseIncident(Tool[CloseInput, Closed]):
    """Take back an open incident thread of this playbook."""

    name = "close_incident"
    description = "Closes this playbook's own incident thread on a subject, because what was out is back."
    Input, Output, effect = CloseInput, Closed, "writes"

    def __init__(self, inbox: Callable[[], Inbox]) -> None:
        self._inbox = inbox

    def run(self, given: CloseInput, context: StepContext) -> Closed:
        from ops_platform.approvals import store
        from ops_platform.approvals.model import JOB
        from ops_platform.approvals.threads import withdraw

        standing = store.newest_on(context.connection, "incident", given.subject)
        if standing is None:
            return Closed(closed=0, thread_id=None)
        done = withdraw(
            context.connection, self._inbox(), standing.id, author=f"{JOB}{context.playbook}", words=given.words,
            now=clock.now(),
        )  # fmt: skip
        return Closed(closed=int(done is not None), thread_id=standing.id if done is not None else None)

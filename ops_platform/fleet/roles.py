"""The agent roles of playbooks, as `fleet.yaml` has them.

Belongs here: the shape of the entry. Does not belong here: values, what a role does
(`ops_platform.playbooks.runners.delegate`).
"""

from __future__ import annotations

from pydantic import Field

from ops_platform.fleet.entries import Entry
from ops_platform.fleet.models import Task


class Role(Entry):
    """A role: the `tools` it may use and no others, all of which only read; the `bot` on whose account its tokens are
    spent and at most how many a day (`token_budget`); the `task`, which decides the model."""

    label: str
    description: str = ""
    bot: str
    task: Task = "write"
    token_budget: int = Field(default=0, ge=0)
    tools: list[str] = Field(default_factory=list)

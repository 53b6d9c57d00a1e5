"""Who decides about what, as `fleet.yaml` has it.

Belongs here: the shape of the entry. Does not belong here: values, what a decision does (`ops_platform.approvals`).
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from ops_platform.fleet.entries import Entry

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class DecidingPerson(Entry):
    """A person under every name by which decisions arrive: the Slack member id, the account at a terminal."""

    name: str = Field(min_length=1, max_length=80)
    slack: str | None = Field(default=None, pattern=r"^[A-Z0-9]{2,32}$")
    account: str | None = Field(default=None, min_length=1, max_length=80)


class ApprovalRule(Entry):
    """For one kind of request: `approvers` (names under `people`; empty: everybody who may press a button, and who has
    an account on the machine), whether somebody who edited a draft may approve it (`editor_may_approve`), and the
    `channel` in which requests of the kind are told where whoever asks does not say."""

    approvers: list[str] = Field(default_factory=list)
    editor_may_approve: bool = False
    channel: Literal["executive", "team", "alerts"] = "team"


class ApprovalPolicy(Entry):
    """The `approvals` entry. A kind without a rule has the strictest one: nobody approves what he had a hand in."""

    people: dict[str, DecidingPerson] = Field(default_factory=dict)
    rules: dict[str, ApprovalRule] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_agree(self) -> ApprovalPolicy:
        problems = [
            f"person {name!r}: small letters, digits and underscores, please"
            for name in self.people
            if not _NAME.fullmatch(name)
        ]
        problems += [
            f"rule {kind}: there is no person {name!r}"
            for kind, rule in self.rules.items()
            for name in rule.approvers
            if name not in self.people
        ]
        for what in ("slack", "account"):
            given = [getattr(person, what) for person in self.people.values() if getattr(person, what) is not None]
            twice = sorted({value for value in given if given.count(value) > 1})
            problems += [f"two people have the {what} {value!r}" for value in twice]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def name_of(self, person: str) -> str:
        """What a person is called; the name itself of one who is in the file no more."""
        return self.people[person].name if person in self.people else person

    def rule(self, kind: str) -> ApprovalRule:
        return self.rules.get(kind, ApprovalRule())

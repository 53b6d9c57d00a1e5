"""What can be decided about: the seam behind which each kind of request keeps its meaning.

Belongs here: what a kind has to offer, and the register of kinds. Does not belong here: any one kind (`documents.py` is
that of documents; playbooks and work orders bring their own).

A new kind: a class with the four methods of `Subject`, and its line where the register is made (`registry.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.approvals.model import Approval, Payload, Person
    from ops_platform.documents.model import Block


@dataclass(frozen=True, slots=True)
class Shown:
    """What people are shown of a payload before they decide: `blocks` say what it is; `effect` completes the sentence
    "Approving …" ("posts it to the executive channel"); `editable` tells that its words can be changed. `yes` and `no`
    are what the two buttons say."""

    blocks: tuple[Block, ...]
    effect: str
    editable: bool = False
    yes: str = "Approve"
    no: str = "Reject"


@dataclass(frozen=True, slots=True)
class Text:
    """One text a person may change, with what is allowed in it, in words."""

    text: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Revised:
    """A payload that replaces another; `note` says what is different."""

    payload: Payload
    note: str


class Subject(Protocol):
    """A kind of request. Every method works in the caller's transaction, never commits and calls nobody outside: what
    goes out goes by the outbox, so that it is there once the transaction is, and only then."""

    def shown(self, connection: psycopg.Connection, payload: Payload) -> Shown:
        """What people see of it. Pure of time: the same payload is shown alike."""
        ...

    def texts(self, connection: psycopg.Connection, payload: Payload) -> Mapping[str, Text]:
        """The texts a person may change, by name; none where it cannot be edited."""
        ...

    def revised(
        self, connection: psycopg.Connection, payload: Payload, texts: Mapping[str, str], by: Person
    ) -> Revised:
        """The payload with these texts in place of its own. Raises `DataFailure`, in words for the editor, where they
        may not stand."""
        ...

    def execute(self, connection: psycopg.Connection, approval: Approval, now: datetime) -> str:
        """Do exactly `approval.payload`; a sentence of what was done. What it writes commits together with the note
        that it was done. Raises `TransientFailure` (tried again), another `OpsError` (a person is told)."""
        ...


@dataclass(frozen=True, slots=True)
class Registry:
    """The kinds there are."""

    kinds: Mapping[str, Subject] = field(default_factory=dict)

    def of(self, kind: str) -> Subject:
        """Raises `DataFailure` for a kind nobody handles."""
        from ops_platform.failures import DataFailure

        found = self.kinds.get(kind)
        if found is None:
            raise DataFailure(f"nothing here knows what a request of the kind {kind!r} is")
        return found

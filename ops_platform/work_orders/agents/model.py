"""What an agent is given and what it returns.

Belongs here: frozen values. Does not belong here: how an answer is made (`answering.py`), the row of a work order
(`ops_platform.work_orders.model`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle
    from ops_platform.work_orders.staged import StagedEffect


class Order(Protocol):
    """What an agent needs to know of a work order; `ops_platform.work_orders.model.WorkOrder` is one.

    `title`, `body` and `labels` are a stranger's words: material, never instructions."""

    @property
    def id(self) -> int: ...
    @property
    def repository(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def priority(self) -> str: ...


@dataclass(frozen=True, slots=True)
class GivenOrder:
    """An order that is no row: from a file at the command line, or for a demonstration."""

    number: int
    title: str
    body: str = ""
    labels: tuple[str, ...] = ()
    priority: str = "P2"
    repository: str = "local/issues"
    id: int = 0


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file an agent made beside its answer. `what` says in our words what it holds."""

    name: str
    media_type: str
    content: str
    what: str

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content.encode())


@dataclass(frozen=True, slots=True)
class Answer:
    """One finished answer. `document_id` is its number in `ops.documents` (None where nothing was stored), `text` the
    document as a comment of the issue; posting that is the coordinator's, so it is not among the effects.

    `complete` says that the agent's output contract holds; where it does not, `reason` says in our words what is
    missing, and the order must not be reported as done. `effects` are proposed, not applied. `tokens` and `cost` (US
    dollars at list price) are what the models took, `note` who wrote it."""

    document: Document
    bundle: Bundle
    text: str
    artefacts: tuple[Artefact, ...] = ()
    effects: tuple[StagedEffect, ...] = ()
    tokens: int = 0
    cost: Decimal = Decimal(0)
    complete: bool = True
    reason: str = ""
    note: str = ""
    document_id: int | None = None
    used: tuple[str, ...] = field(default=())

"""An effect as it is proposed, and as it stands in the ledger.

Belongs here: the two shapes. Does not belong here: checking and staging (`effects.py`), keeping (`ledger.py`), doing
(`applying.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops_platform.work_orders.limits import Kind


@dataclass(frozen=True, slots=True)
class StagedEffect:
    """One effect as proposed. `name` is unique within the order: the same name is never done twice, whatever the
    attempt (`result`, `started:1`, `status:answered`). Make them by the functions below."""

    kind: Kind
    name: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """A row of `ops.work_effects`. `result` is what GitHub answered, in short: id, url, sha."""

    id: int
    work_id: int
    name: str
    kind: str
    place: int
    attempt: int
    staged_by: str
    payload: dict[str, Any]
    marker: str
    cut: dict[str, int]
    state: str
    tries: int
    result: dict[str, Any] | None
    error: str | None
    staged_at: datetime
    intended_at: datetime | None
    settled_at: datetime | None

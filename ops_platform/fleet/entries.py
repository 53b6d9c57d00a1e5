"""What every entry of `fleet.yaml` has in common.

Belongs here: the strict base of an entry and exact numbers. Does not belong here: any one entry (`model.py`,
`alert_rules.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def exact(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


# YAML reads 0.20 as a binary float; money and rates must not pass through one.
Exact = Annotated[Decimal, BeforeValidator(exact)]


class Entry(BaseModel):
    """A part of the file: nothing unknown in it, nothing changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

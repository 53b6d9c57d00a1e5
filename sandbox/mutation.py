"""What the vendor sides share when a test changes their data from outside.

Belongs here: the refusal, the reading of a required key. Does
not belong here: any vendor's operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class MutationRefused(ValueError):
    """The change asked for makes no sense; the message says why."""


def required(data: Mapping[str, Any], key: str) -> str:
    """The text under `key`; `MutationRefused` where it is missing."""
    value = data.get(key)
    if value is None or value == "":
        raise MutationRefused(f'"data" needs {key!r}.')
    return str(value)

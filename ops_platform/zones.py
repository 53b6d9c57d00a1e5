"""Time zones by the names that people and vendors write.

Belongs here: whether a name is a zone. Does not belong here: what day it is in one (`clock.py`).
"""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_of(name: object) -> ZoneInfo:
    """The zone of that IANA name. Raises `ValueError` for everything else."""
    try:
        return ZoneInfo(name)  # type: ignore[arg-type]
    except (ZoneInfoNotFoundError, TypeError, ValueError, OSError):  # it looks for a file of that name
        raise ValueError(f"{name!r} is not an IANA time zone, e.g. America/New_York") from None

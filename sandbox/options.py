"""What a sandbox is started with.

Belongs here: the options, as values. Does not belong here: reading a command line (`__main__.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

PROFILES = ("generous", "standard", "restricted")


@dataclass(frozen=True, slots=True)
class Options:
    """`orders` is a CSV of order lines that replaces the generated company. `profile` sets the vendors' rate
    limits: `generous` hardly any, `standard` as a normal account has them, `restricted` also Slack's limits
    for distributed apps outside its Marketplace. `parent_pid` ends the sandbox when that process ends. `warm` has it
    make what it would otherwise make when somebody first asks."""

    seed: int
    clock: datetime
    state: Path
    port: int = 0
    port_file: Path | None = None
    orders: Path | None = None
    profile: str = "generous"
    ticking: bool = False
    parent_pid: int | None = None
    netsuite_key: str = "rsa"
    warm: bool = False

"""Which backups are kept: the newest of each of the last days, weeks and months.

Belongs here: the rule, and removing what it does not keep. Does not belong here: making backups.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_platform.backup.manifest import Backup, backups_in


@dataclass(frozen=True, slots=True)
class Keep:
    """How many of each are kept. The newest of all is always kept, the newest that passed a restore drill, and the one
    made before the last upgrade, which a rollback may want."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 6


def to_keep(backups: Sequence[Backup], keep: Keep) -> set[Path]:
    """What stays of `backups`, the newest first."""
    kept: set[Path] = set()
    rules: tuple[tuple[int, Callable[[Backup], Any]], ...] = (
        (keep.daily, lambda backup: backup.at.date()),
        (keep.weekly, lambda backup: backup.at.isocalendar()[:2]),
        (keep.monthly, lambda backup: (backup.at.year, backup.at.month)),
    )
    for count, period in rules:
        seen: dict[Any, Path] = {}
        for backup in backups:
            seen.setdefault(period(backup), backup.path)
        kept |= set(list(seen.values())[:count])
    kept |= {backup.path for backup in backups[:1]}
    proven = next((backup.path for backup in backups if backup.drill is not None and backup.drill.get("equal")), None)
    before_upgrade = next((backup.path for backup in backups if backup.before_upgrade), None)
    return kept | {path for path in (proven, before_upgrade) if path is not None}


def remove_old(directory: Path, keep: Keep) -> list[Path]:
    """Remove what the rule does not keep; returns what was removed. Touches nothing that is no backup of ours."""
    backups = backups_in(directory)
    gone = [backup.path for backup in backups if backup.path not in to_keep(backups, keep)]
    for path in gone:
        shutil.rmtree(path)
    return gone

"""Log files that cannot fill the disk.

Belongs here: turning a file that has grown, while others write to it. Does not belong here: what is logged. Under
systemd the journal keeps the services' lines, and this has little to do.
"""

from __future__ import annotations

import gzip
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops_platform.settings import Settings

LARGEST = 10 * 1024 * 1024
KEPT = 5
LOOK_EVERY_SECONDS = 60.0


def other_logs(settings: Settings) -> list[Path]:
    """Logs beside the services' own: the supervisor's, and the embedded database's."""
    return [settings.ops_home / "logs" / "supervisor.log", settings.ops_home / "postgres" / "server.log"]


class Rotation:
    """Looks at the files now and then. Writers append, so a file is copied and emptied in place; a line written in that
    very moment may be lost, which a log can bear."""

    def __init__(self, files: Iterable[Path], largest: int = LARGEST, kept: int = KEPT) -> None:
        self.files = list(files)
        self.largest = largest
        self.kept = kept
        self._last = float("-inf")

    def look(self) -> list[Path]:
        """Turn what has grown too large; returns those files. Does nothing within a minute of the last look."""
        if time.monotonic() - self._last < LOOK_EVERY_SECONDS:
            return []
        self._last = time.monotonic()
        return [file for file in self.files if self._turn(file)]

    def _turn(self, file: Path) -> bool:
        try:
            if file.stat().st_size <= self.largest:
                return False
            for number in range(self.kept, 0, -1):
                older = file.with_name(f"{file.name}.{number}.gz")
                if number == self.kept:
                    older.unlink(missing_ok=True)
                elif older.exists():
                    older.rename(file.with_name(f"{file.name}.{number + 1}.gz"))
            first = file.with_name(f"{file.name}.1.gz")
            with file.open("rb") as source, gzip.open(first, "wb", compresslevel=6) as target:
                shutil.copyfileobj(source, target)
            first.chmod(0o600)
            os.truncate(file, 0)
        except OSError:
            return False  # a full disk is told by its own alarm; the next look tries again
        return True

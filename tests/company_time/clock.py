"""Company time: the clock that every process of a simulation is told, moved by one of them.

Belongs here: the preloaded library, the shared offset, moving it. Does not belong here: what happens at a moment
(`week.py`, `kills.py`). Nothing of the product is told that its clock is not the machine's: its own processes, the
daemon, dbt, PostgreSQL and the vendors' side all ask the C library, which answers with the offset added.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

SOURCE = Path(__file__).with_name("shifted_clock.c")
PRELOAD, VARIABLE = "LD_PRELOAD", "OPS_TEST_CLOCK"
_NANOSECONDS = 1_000_000_000


def compiler() -> str | None:
    """What can make the library here; None where there is nothing."""
    return next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


def shifted_environment(folder: Path, at: datetime) -> dict[str, str]:
    """The environment of processes whose clock shows `at` now: the library made, the offset written."""
    folder.mkdir(parents=True, exist_ok=True)
    library, offset = folder / "shifted_clock.so", folder / "offset"
    made = compiler()
    assert made is not None
    subprocess.run([made, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    offset.write_bytes(struct.pack("=q", int((at.timestamp() - time.time()) * _NANOSECONDS)))
    for path in (folder, library, offset):
        path.chmod(0o755)  # the database's account reads them, too
    return {PRELOAD: str(library), VARIABLE: str(offset)}


class CompanyClock:
    """The clock of this process and all that share its offset. It is only ever moved forward."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._file = open(environment[VARIABLE], "r+b")  # noqa: SIM115
        self._page = mmap.mmap(self._file.fileno(), 8)
        self._offset = ctypes.c_int64.from_buffer(self._page)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def move_to(self, moment: datetime) -> None:
        """From now on it is `moment`; where that is over, it stays as late as it is."""
        self._offset.value += max(int((moment.timestamp() - time.time()) * _NANOSECONDS), 0)


def become_shifted(module: str, folder: Path, at: datetime) -> None:
    """Begin this process anew as `module` under company time, unless it runs under it already."""
    if VARIABLE not in os.environ:
        os.environ.update(shifted_environment(folder, at))
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])

"""Processes of a test that are killed at a named point, and what their code names.

Belongs here: starting them cheaply, waiting for their end, finding the points of a package. Does not belong here: what
such a process does (each room's `victim.py`), what must be true afterwards (the tests).
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Children are forked from a clean server process that has the libraries loaded: a kill costs milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
_loaded: list[str] = []


def preload(*modules: str) -> None:
    """Have the server process load these before it forks, beside what other files asked for: there is one server for
    all files of a test process, started by the first child, and a child without its modules spends a second on them."""
    _loaded.extend(module for module in modules if module not in _loaded)
    PROCESSES.set_forkserver_preload(list(_loaded))


def start(life: Callable[..., None], *arguments: Any) -> Any:
    child = PROCESSES.Process(target=life, args=arguments)
    child.start()
    return child


def ended(child: Any) -> int | None:
    """The exit code, negative for a signal. A child that hangs for a minute is a failure."""
    child.join(60)
    assert not child.is_alive()
    code: int | None = child.exitcode
    return code


def points_in(files: Iterable[Path]) -> set[str]:
    """The points at which the code of these files can be killed."""
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    return set(re.findall(r'failpoint\("([^"]+)"\)', text))

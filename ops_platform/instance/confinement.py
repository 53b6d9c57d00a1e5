"""A process shut out of files, such as other bots' credentials, by the kernel (Landlock) and for good.

Belongs here: that one restriction. Does not belong here: which file is whose (`settings.py`), starting runs.

All runs belong to one account, so file modes alone cannot keep one bot's run from another's file. Landlock can: a
process gives up, for itself and all its children, what it does not name. We name everything that may be read except the
credentials of other bots. It needs no privilege; Linux has it since 5.13. Where it is missing, `ops doctor` says so.
What a bot's file holds never enters an environment, which other processes of the account could read in `/proc`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

# The three calls have the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_QUERY = 1
_READ_FILE = 1 << 2
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def available() -> bool:
    """Whether this kernel can confine."""
    return _call(_CREATE_RULESET, None, 0, _VERSION_QUERY) >= 1


def confine(directory: Path, own: Path | None) -> bool:
    """From now on this process and its children read no file in `directory` but `own`. False where the kernel cannot
    (nothing is changed then). Files made later beside the directory, or beside one above it, are not read either."""
    return directory.is_dir() and shut_out(directory, allowed=own)


def shut_out(*hidden: Path, allowed: Path | None = None) -> bool:
    """From now on this process and its children read nothing that `hidden` (files or directories) holds, but for
    `allowed` within it. False where the kernel cannot, or where nothing of it is there (nothing is changed then)."""
    there = frozenset(path for each in hidden if (path := Path(os.path.realpath(each))).exists())
    if not there or not available():
        return False
    attributes = _Ruleset(_READ_FILE)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for path in _everything_but(there):
            _allow(ruleset, path)
        if allowed is not None and allowed.exists():
            _allow(ruleset, allowed)
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and _call(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _everything_but(hidden: frozenset[Path]) -> Iterator[Path]:
    """What covers the whole tree without `hidden`: the neighbours of each step on the ways to it."""
    ways = {above for path in hidden for above in path.parents}
    for above in ways - {beneath for beneath in ways if hidden & {beneath, *beneath.parents}}:
        try:
            entries = list(os.scandir(above))
        except PermissionError:
            continue  # what this account cannot list it can still be allowed by nobody: it stays shut
        # A link would allow what it points to, which may be the very directory; its target is named by its own place.
        for entry in entries:
            path = Path(entry.path)
            if path not in hidden and path not in ways and not entry.is_symlink():
                yield path


def _allow(ruleset: int, path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = _PathBeneath(_READ_FILE, descriptor)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    typed = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    return int(libc.syscall(ctypes.c_long(number), *typed))

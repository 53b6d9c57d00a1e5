"""Looks at the services: who saw which of them down, and what share of a stretch of time that makes.

Belongs here: the file that watchdog and supervisor write when there may be no database, taking it into
`ops.service_observations`, and counting uptime. Does not belong here: looking (`deploy/watchdog.sh`,
`ops_platform.commands.stack`).

A line of the file: `epoch seconds, observer, up|down, names of those down with commas, epoch of the machine's start`,
with tabs between. A look vouches for the time until its observer's next one, as long as that came in time; what nobody
vouches for is unknown. Time from the last look before the machine started anew until that start is down: it was off.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

FILE = "services.tsv"
#: Lines beyond this many are cut off at the old end, at half of it.
MOST_LINES = 20_000
SEPARATOR = "\t"


@dataclass(frozen=True, slots=True)
class Observation:
    """One look: which services did not stand. Times are aware."""

    observer: str
    at: datetime
    down: tuple[str, ...] = ()
    boot_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Uptime:
    """Of a stretch of time: how long everything stood, something did not, nobody looked; and which did not."""

    up: timedelta
    down: timedelta
    unknown: timedelta
    names: tuple[str, ...] = ()


def folder(home: Path) -> Path:
    """Where watchdog and supervisor keep what they saw."""
    return home / "watchdog"


def write(home: Path, observation: Observation) -> None:
    """Add a line to the file; one write, so that lines of two observers never mix. Raises `OSError`."""
    path = folder(home) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ",".join(name.replace(",", " ").replace(SEPARATOR, " ") for name in observation.down)
    boot = "" if observation.boot_at is None else str(int(observation.boot_at.timestamp()))
    fields = (str(int(observation.at.timestamp())), observation.observer, "down" if names else "up", names, boot)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(handle, (SEPARATOR.join(fields) + "\n").encode())
    finally:
        os.close(handle)


class Observer:
    """Looks again and again and writes what changed, and that nothing did every few minutes: a file that says nothing
    new for longer was written by nobody. What cannot be written (a full disk) is left out; the watchdog looks, too."""

    EVERY = timedelta(minutes=5)

    def __init__(self, home: Path, name: str) -> None:
        self._home, self._name, self._boot = home, name, boot_time()
        self._last: Observation | None = None

    def look(self, down: Sequence[str]) -> None:
        """Note which services do not stand now."""
        now, names, last = datetime.now(UTC), tuple(sorted(down)), self._last
        # A clock that was set back is a reason to write, too.
        if last is not None and names == last.down and timedelta() <= now - last.at < self.EVERY:
            return
        self._last = Observation(self._name, now, names, self._boot)
        with contextlib.suppress(OSError):
            write(self._home, self._last)


def read(home: Path) -> list[Observation]:
    """What the file holds; a line that is none (cut off by a full disk) is left out."""
    path = folder(home) / FILE
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [found for line in text.splitlines() if (found := _parsed(line)) is not None]


def _parsed(line: str) -> Observation | None:
    fields = line.split(SEPARATOR)
    if len(fields) != 5 or fields[2] not in ("up", "down") or not fields[1] or not fields[0].isdigit():
        return None
    if (fields[2] == "down") != bool(fields[3]) or not (fields[4].isdigit() or not fields[4]):
        return None
    down = tuple(name for name in fields[3].split(",") if name)
    boot = datetime.fromtimestamp(int(fields[4]), UTC) if fields[4] else None
    return Observation(fields[1], datetime.fromtimestamp(int(fields[0]), UTC), down, boot)


def boot_time() -> datetime | None:
    """When this machine was started; None where the kernel does not say."""
    try:
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
            if line.startswith("btime "):
                return datetime.fromtimestamp(int(line.split()[1]), UTC)
    except (OSError, ValueError):
        pass
    return None


def take_in(connection: psycopg.Connection[Any], observations: Sequence[Observation], now: datetime) -> int:
    """Keep looks; one that is kept already changes nothing, one from the future (a clock that jumped) is left out.
    Returns how many are new. Does not commit."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.service_observations (observer, at, down, boot_at) values (%s, %s, %s, %s)"
            " on conflict do nothing",
            [(each.observer, each.at, list(each.down), each.boot_at) for each in observations if each.at <= now],
        )
        return max(cursor.rowcount, 0)


def shorten(home: Path) -> None:
    """Keep the file short: beyond `MOST_LINES` its older half goes."""
    path = folder(home) / FILE
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return
    if len(lines) > MOST_LINES:
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(lines[-MOST_LINES // 2 :]), encoding="utf-8")
        fresh.replace(path)


def kept(connection: psycopg.Connection[Any], start: datetime, end: datetime) -> list[Observation]:
    """The looks of [start, end], the oldest first."""
    rows = connection.execute(
        "select observer, at, down, boot_at from ops.service_observations where at >= %s and at <= %s order by at",
        (start, end),
    ).fetchall()
    return [Observation(observer, at, tuple(down), boot) for observer, at, down, boot in rows]


def uptime(observations: Sequence[Observation], start: datetime, end: datetime, believed: timedelta) -> Uptime:
    """The share-out of [start, end). A look is `believed` so long where its observer's next one does not come; looks
    from before `start` count for what they vouch for after it. Where two observers differ, down wins."""
    stretches: list[tuple[datetime, datetime, tuple[str, ...]]] = []
    by_observer: dict[str, list[Observation]] = {}
    for each in sorted(observations, key=lambda item: item.at):
        by_observer.setdefault(each.observer, []).append(each)
    for looks in by_observer.values():
        for look, following in zip(looks, [*looks[1:], None], strict=True):
            until = end if following is None else following.at
            boot = following.boot_at if following is not None else None
            if boot is not None and look.at < boot <= until:
                stretches.append((look.at, boot, ("the machine",)))
            elif until - look.at <= believed:
                stretches.append((look.at, until, look.down))
            else:
                stretches.append((look.at, look.at + believed, look.down))
    edges = sorted({start, end, *(edge for one in stretches for edge in one[:2] if start < edge < end)})
    up = down = unknown = timedelta()
    names: dict[str, timedelta] = {}
    for begin, finish in pairwise(edges):
        seen = [each for each in stretches if each[0] <= begin and finish <= each[1]]
        fallen = {name for each in seen for name in each[2]}
        for name in fallen:
            names[name] = names.get(name, timedelta()) + (finish - begin)
        if fallen:
            down += finish - begin
        elif seen:
            up += finish - begin
        else:
            unknown += finish - begin
    return Uptime(up, down, unknown, tuple(sorted(names, key=lambda name: (-names[name], name))))

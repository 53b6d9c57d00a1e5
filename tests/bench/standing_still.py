"""What `ops up` costs while nothing is to be done: memory and CPU of its processes, by part.

    python -m tests.bench.standing_still [SECONDS]     the stack of this OPS_HOME must be up

Belongs here: measuring. Does not belong here: starting the stack (`ops up`), what is done with the numbers.

Memory is PSS, each shared page divided among those who share it, so that parts add up to what the machine gives away;
Linux only. A process belongs to the part whose process it descends from; PostgreSQL's is found by its data directory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1024
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """PSS in MB, CPU seconds since it started, and how many processes a part has."""

    memory_mb: float
    cpu_seconds: float
    processes: int


def cost_of(process: int) -> Cost | None:
    """What a process holds and has used so far; None where it is gone."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    kilobytes = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    # Its own time and that of children it has waited for: processes that came and went between two looks.
    return Cost(kilobytes / MEGABYTE, sum(int(field) for field in fields[11:15]) / TICKS, 1)


def descendants() -> dict[int, list[int]]:
    """The children of every process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    return children


def parts_of(home: Path) -> dict[str, int]:
    """The first process of every part of the stack at `home`."""
    state = json.loads((home / "stack.json").read_text(encoding="utf-8"))
    parts = {name: int(service["pid"]) for name, service in state["services"].items() if service["pid"]}
    parts["supervisor"] = int(state["supervisor"])
    database = home / "postgres" / "postmaster.pid"
    if database.exists():
        parts["database"] = int(database.read_text(encoding="ascii").split("\n", 1)[0])
    return parts


def look(home: Path) -> dict[str, Cost]:
    """Every part with everything under it; a part inside another counts for itself only."""
    parts, children = parts_of(home), descendants()
    heads = set(parts.values())
    found = {}
    for name, head in parts.items():
        waiting, memory, cpu, count = [head], 0.0, 0.0, 0
        while waiting:
            process = waiting.pop()
            cost = cost_of(process)
            if cost is not None:
                memory, cpu, count = memory + cost.memory_mb, cpu + cost.cpu_seconds, count + 1
            waiting += [child for child in children.get(process, []) if child not in heads]
        found[name] = Cost(memory, cpu, count)
    return found


def main(seconds: float) -> int:
    home = Path(os.environ.get("OPS_HOME", ".ops")).resolve()
    before = look(home)
    peak = sum(cost.memory_mb for cost in before.values())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(2.0, seconds))
        now = look(home)
        peak = max(peak, sum(cost.memory_mb for cost in now.values()))
    print(f"{'part':<14}{'PSS MB':>9}{'CPU s':>9}{'processes':>11}   over {seconds:.0f} s")
    spent_in_all = 0.0
    for name, cost in sorted(now.items(), key=lambda item: -item[1].memory_mb):
        spent = max(0.0, cost.cpu_seconds - before.get(name, Cost(0, 0, 0)).cpu_seconds)
        spent_in_all += spent
        print(f"{name:<14}{cost.memory_mb:>9.1f}{spent:>9.2f}{cost.processes:>11}")
    held = sum(cost.memory_mb for cost in now.values())
    print(f"{'all':<14}{held:>9.1f}{spent_in_all:>9.2f}    peak {peak:.1f} MB")
    print(f"a day at this pace: {spent_in_all / seconds * 86400 / 60:.1f} CPU-minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0))

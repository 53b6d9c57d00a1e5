"""The roster: every role file of `agents/`, read once and checked against the fleet.

Belongs here: reading the files, what can be wrong between them and `fleet.yaml`. Does not belong here: the shape of one
(`role.py`), routing orders to agents (`work_orders.routing`).

A new agent is one file; nothing else names it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ops_platform.failures import ConfigurationError
from ops_platform.fleet.entries import read_yaml, wrong_entries
from ops_platform.settings import PROJECT_ROOT, get_settings
from ops_platform.work_orders.agents.readings import READINGS
from ops_platform.work_orders.agents.role import Agent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.fleet import Fleet

MOST_BYTES = 100_000


def its_folder() -> Path:
    """Where the company's role files are."""
    return get_settings().ops_agents or PROJECT_ROOT / "agents"


def load_roster(folder: Path, fleet: Fleet) -> dict[str, Agent]:
    """Every agent of `folder` by name, in the order of the names.

    Raises `ConfigurationError` naming the file and everything that is wrong with it."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} does not exist: it holds the agents' role files (OPS_AGENTS)")
    found: dict[str, Agent] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            agent = _read(path)
        except ConfigurationError as error:
            problems.append(str(error))
            continue
        problems += [f"{path.name}: {problem}" for problem in _against_fleet(agent, fleet)]
        found[agent.name] = agent
    if problems:
        raise ConfigurationError("; ".join(problems))
    if not found:
        raise ConfigurationError(f"{folder} holds no role file")
    return found


@lru_cache(maxsize=1)
def roster() -> dict[str, Agent]:
    """The agents of this process, by name (`finance`, not `ai-finance`)."""
    from ops_platform.fleet import get_fleet

    return load_roster(its_folder(), get_fleet())


def reset_roster() -> None:
    """Forget the roster read so far (tests)."""
    roster.cache_clear()


def find(name: str) -> Agent:
    """The agent of that name, with or without `ai-`. Raises `ConfigurationError` that names those there are."""
    agents = roster()
    agent = agents.get(name.removeprefix("ai-"))
    if agent is None:
        raise ConfigurationError(f"there is no agent {name!r}; there are {', '.join(agents)}")
    return agent


def _read(path: Path) -> Agent:
    if path.stat().st_size > MOST_BYTES:
        raise ConfigurationError(f"{path.name} is larger than {MOST_BYTES:,} bytes")
    raw = read_yaml(path, path.name)
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{path.name} is not a role file: it holds no entries")
    try:
        return Agent.model_validate({"name": path.stem, **raw})
    except ValidationError as error:
        raise wrong_entries(path.name, error) from None


def _against_fleet(agent: Agent, fleet: Fleet) -> Iterable[str]:
    """What a role file says that the fleet does not know."""
    if agent.bot not in fleet.bots:
        yield f"there is no bot {agent.bot!r}"
    limits = [check.limit[1] for check in agent.checks]
    limits += [limit for listing in agent.listings().values() for limit in listing.thresholds()]
    for limit in dict.fromkeys(limits):
        if isinstance(limit, str) and limit not in fleet.thresholds:
            yield f"there is no threshold {limit!r}"
    for listing in agent.listings().values():
        for stream in dict.fromkeys((*listing.sources, *listing.any_source)):
            if stream.count(".") != 1 or stream.partition(".")[0] not in fleet.sources:
                yield f"list {listing.name}: there is no source {stream!r}"
    for reading in agent.scope.readings:
        if reading not in READINGS:
            yield f"there is no reading {reading!r}; there are {', '.join(READINGS)}"

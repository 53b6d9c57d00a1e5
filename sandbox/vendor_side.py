"""What a vendor's side of the sandbox is to the server that mounts it.

Belongs here: the base of all sides and what they are handed. Does not belong here: any vendor
(`sandbox/<vendor>`), the list of them (`sides.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sandbox.mutation import MutationRefused

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.routing import BaseRoute

    from sandbox.clock import SandboxClock
    from sandbox.company import Company
    from sandbox.faults import FaultPlan
    from sandbox.ledger import SqliteLedger
    from sandbox.options import Options


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The shared objects a side is mounted with. `prepared` is what its `prepare` made, if it has one."""

    company: Company
    options: Options
    clock: SandboxClock
    ledger: SqliteLedger
    faults: FaultPlan
    prepared: Any = None

    def directory(self, name: str) -> Path:
        """A directory of the sandbox's state for one side; not created."""
        return self.options.state / name


Kept = TypeVar("Kept")


class MadeOnce(Generic[Kept]):
    """What a side makes of its company: when it is first asked for, or before that by `warm`, and then kept. Made once,
    however many threads ask at a time."""

    def __init__(self, make: Callable[[], Kept]) -> None:
        self._make = make
        self._kept: Kept | None = None
        self._making = threading.RLock()

    def __call__(self) -> Kept:
        kept = self._kept
        if kept is not None:
            return kept
        with self._making:
            if self._kept is None:
                self._kept = self._make()
            return self._kept

    def forget(self) -> None:
        """Make it anew when it is next asked for."""
        with self._making:
            self._kept = None


class Side:
    """A vendor's side. `profile` is the rate limits' name and may be set while serving."""

    vendor: ClassVar[str]
    profile: str = "generous"

    def routes(self) -> Sequence[BaseRoute]:
        raise NotImplementedError

    def environment(self, url: str) -> dict[str, str]:
        """The settings with which the product reaches this side at `url`; empty where it is not served."""
        return {}

    def at(self, url: str) -> None:
        """The address of the sandbox, once it listens."""

    def warm(self) -> None:
        """Make what the first request would wait for. Called from a thread of its own."""

    def load(self, company: Company) -> None:
        """Serve another company (the clock moved); what clients wrote stays."""

    def mutate(self, op: str, data: Mapping[str, Any]) -> Any:
        """Change the vendor's data from outside. Raises `MutationRefused` where that makes no sense."""
        raise MutationRefused(f"{self.vendor} has no operation {op!r}.")

    def replayed(self, data: Mapping[str, Any], result: Any) -> dict[str, Any]:
        """What to remember of a change, so that it comes back the same after the clock moved."""
        names = {key: result[key] for key in ("ts", "id") if key in result} if isinstance(result, dict) else {}
        return {**data, **names}

    def close(self) -> None:
        """Let go of what is held open."""


@dataclass(frozen=True, slots=True)
class VendorSide:
    """One entry of the list: how the side is made, which paths are its own (by prefix; the longest that fits
    wins) and which semantic faults it knows. `prepare` starts slow work before the company is generated."""

    mount: Callable[[Surroundings], Side]
    prefixes: tuple[str, ...]
    faults: frozenset[str] = frozenset()
    prepare: Callable[[Options, SandboxClock], Any] | None = None

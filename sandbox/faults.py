"""What goes wrong on purpose: which fault is armed, and which request it hits.

Belongs here: the plan (arm, match, count, take). Does not belong here: breaking the connection (`gate.py`),
how a vendor words a refusal (`refusals.py`), nor what a semantic fault means to a vendor (the vendor side
asks with `take` and acts).

Transport faults are applied by the gate whatever the vendor:
  http_<status>     the vendor's own error body with that status (429 with its own Retry-After rule)
  http_502_html     an HTML error page with status 502; html_200 the same page with status 200
  truncate          the answer's body cut in the middle, Content-Length agreeing with what is sent
  truncate_short    the same, but Content-Length promises the whole and the connection closes
  reset             the connection is reset before the request is handled
  accept_then_drop  the request is handled, its effect happens, the connection closes without an answer
  slow              the answer is delayed by `seconds` (1 by default)
Every other name is semantic: the vendor side takes it at a named point.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.exchange import Exchange, current

_STATUS = re.compile(r"http_([345]\d\d)")
_WHOLE = frozenset({"http_502_html", "html_200", "truncate", "truncate_short", "reset", "accept_then_drop", "slow"})
_KNOWN_KEYS = frozenset({"vendor", "match", "fault", "times", "after", "point"})
_MATCH_KEYS = frozenset({"path_contains", "body_contains", "query_contains", "method", "point"})


class FaultRefused(ValueError):
    """The fault asked for makes no sense; the message says why."""


def is_transport(name: str) -> bool:
    """Whether the gate applies the fault by itself."""
    return name in _WHOLE or bool(_STATUS.fullmatch(name))


def status_of(name: str) -> int | None:
    """429 for "http_429"; None where the fault is no plain status."""
    found = _STATUS.fullmatch(name)
    return int(found.group(1)) if found else None


@dataclass(slots=True)
class Fault:
    """An armed fault. It skips the first `after` requests it matches, then fires `times` times (None: until
    it is disarmed). `options` are the further keys of the control request (`seconds`, `mode`, …)."""

    id: int
    name: str
    vendor: str | None = None
    match: Mapping[str, str] = field(default_factory=dict)
    times: int | None = 1
    after: int = 0
    point: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    fired: int = 0

    @property
    def spent(self) -> bool:
        return self.times is not None and self.fired >= self.times

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "fault": self.name,
            "vendor": self.vendor,
            "match": dict(self.match),
            "times": self.times,
            "after": self.after,
            "point": self.point,
            "seen": self.seen,
            "fired": self.fired,
            **self.options,
        }


class FaultPlan:
    """The armed faults, oldest first. Safe from several threads."""

    def __init__(self, semantic: Mapping[str, frozenset[str]] | None = None) -> None:
        """`semantic` names the faults each vendor side knows; any other name is refused. Without it, any goes."""
        self._semantic = semantic
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self._last = 0

    def arm(self, request: Mapping[str, Any]) -> Fault:
        """Arm what a control request asks for. Raises `FaultRefused` where it is malformed."""
        name = request.get("fault")
        vendor = request.get("vendor")
        if not isinstance(name, str) or not name:
            raise FaultRefused('"fault" must name a fault, for example "http_429".')
        if vendor is not None and self._semantic is not None and vendor not in self._semantic:
            raise FaultRefused(f'"vendor" must be one of {", ".join(self._semantic)} or absent, not {vendor!r}.')
        if self._semantic is not None and not is_transport(name):
            known = self._semantic.get(vendor or "", frozenset())
            if name not in known:
                whose = vendor or "no vendor"
                raise FaultRefused(f'{whose} has no "fault" {name!r}; it has {", ".join(sorted(known))}.')
        match = request.get("match") or {}
        if not isinstance(match, dict) or set(match) - _MATCH_KEYS:
            raise FaultRefused(f'"match" may have the keys {", ".join(sorted(_MATCH_KEYS))}.')
        # A mode of the model stub stays until it is taken away; everything else happens once unless told.
        times = request.get("times", None if name.endswith("mode") else 1)
        match = dict(match)
        point = match.pop("point", request.get("point"))
        after = request.get("after", 0)
        if times is not None and (not isinstance(times, int) or times < 1):
            raise FaultRefused('"times" must be a positive number, or null for ever.')
        if not isinstance(after, int) or after < 0:
            raise FaultRefused('"after" must be zero or a positive number.')
        with self._lock:
            self._last += 1
            fault = Fault(
                id=self._last,
                name=name,
                vendor=vendor,
                match={key: str(value) for key, value in match.items()},
                times=times,
                after=after,
                point=None if point is None else str(point),
                options={key: value for key, value in request.items() if key not in _KNOWN_KEYS},
            )
            self._armed.append(fault)
        return fault

    def disarm(self, fault_id: int | None = None) -> int:
        """Take away one fault, or all of them; how many there were."""
        with self._lock:
            kept = [] if fault_id is None else [fault for fault in self._armed if fault.id != fault_id]
            gone = len(self._armed) - len(kept)
            self._armed = kept
        return gone

    def armed(self) -> list[Fault]:
        with self._lock:
            return list(self._armed)

    def take_transport(self, exchange: Exchange) -> Fault | None:
        """The transport fault that hits this request, used up once; None where there is none."""
        return self._take(exchange.vendor, None, exchange, transport=True)

    def take_fault(self, vendor: str, point: str, names: frozenset[str] | None = None) -> Fault | None:
        """The semantic fault armed at `point` for the request being served, used up once. With `names`, only
        one of those."""
        return self._take(vendor, point, current(), transport=False, names=names)

    def take(self, vendor: str, point: str) -> str | None:
        """As `take_fault`, but only its name."""
        fault = self.take_fault(vendor, point)
        return fault.name if fault else None

    def _take(
        self,
        vendor: str,
        point: str | None,
        exchange: Exchange | None,
        *,
        transport: bool,
        names: frozenset[str] | None = None,
    ) -> Fault | None:
        if not self._armed:
            return None
        with self._lock:
            for fault in self._armed:
                if fault.spent or is_transport(fault.name) != transport:
                    continue
                if fault.vendor is not None and fault.vendor != vendor:
                    continue
                if point is not None and fault.point is not None and fault.point != point:
                    continue
                if names is not None and fault.name not in names:
                    continue
                if not _matches(fault.match, exchange):
                    continue
                fault.seen += 1
                if fault.seen <= fault.after:
                    continue
                fault.fired += 1
                if exchange is not None and not transport:
                    exchange.fault = fault.name
                return fault
        return None


def _matches(match: Mapping[str, str], exchange: Exchange | None) -> bool:
    if not match:
        return True
    if exchange is None:
        return False
    wanted = match.get("path_contains")
    if wanted is not None and wanted not in exchange.path:
        return False
    wanted = match.get("query_contains")
    if wanted is not None and wanted not in exchange.query:
        return False
    wanted = match.get("method")
    if wanted is not None and wanted.upper() != exchange.method:
        return False
    wanted = match.get("body_contains")
    return wanted is None or wanted.encode() in exchange.body

"""Bulk operations: run one, wait for it, download its JSONL, put parents and children together.

Belongs here: the life of one operation and the reading of its file. Does not belong here: which query
is run and what its records mean (`source.py`).

The file. Every object is a line; a child carries `__parentId`. We ask for grouped output, in which
children follow their parent, but never rely on it: a first, cheap pass over the bytes finds the children
that stand elsewhere and remembers where, a second pass parses. Grouped files need constant memory.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops_platform.failpoints import failpoint
from ops_platform.failures import PermanentFailure, TransientFailure
from resources.http import MEGABYTE, may_hold_large_integer, parse_json, same_origin
from resources.shopify.documents import bulk_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops_platform.records import JsonObject
    from resources.shopify.client import ShopifyClient

log = logging.getLogger(__name__)

# Where the vendor keeps finished files. A link to any other host is not followed.
DOWNLOAD_HOSTS = (".googleapis.com", ".shopify.com", ".shopifycdn.com", ".myshopify.com", ".amazonaws.com")
LARGEST_FILE = 64 * 1024 * MEGABYTE
FIRST_POLL_SECONDS = 0.25
LONGEST_POLL_SECONDS = 10.0
BUSY_CODES = frozenset({"OPERATION_IN_PROGRESS", "LIMIT_REACHED"})
LINE_BUFFER = MEGABYTE


class BulkUnavailable(Exception):
    """This entity cannot be had by a bulk operation now; reading page by page still can work."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the objects of a file hang together: `lists[child type] = (parent type, list of the parent)`, the
    types being those of the ids (`gid://shopify/<type>/…`). Children may have children of their own."""

    lists: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def only_list(self) -> str | None:
        """The one list there is, where roots have one kind of child and those have none."""
        return next(iter(self.lists.values()))[1] if len(self.lists) == 1 else None

    def prepare(self, value: JsonObject) -> None:
        """Give a parent its empty lists, so that "no children" is an empty list and not a missing key."""
        kind = type_of(value.get("id"))
        for parent, name in self.lists.values():
            if parent == kind:
                value[name] = []


@dataclass(frozen=True, slots=True)
class Finished:
    """A completed operation: when it began, and its file (None where there was nothing to export)."""

    began: datetime | None
    file: IO[bytes] | None


@dataclass(slots=True)
class BulkRunner:
    """Runs bulk operations over `client`. `busy_patience` and `patience` are in seconds."""

    client: ShopifyClient
    busy_patience: float = 120.0
    patience: float = 3 * 3600.0
    spool_folder: str | None = None

    def run(self, name: str, search: str | None) -> Finished:
        """Run the bulk operation `name` and return its file, whole. The caller closes the file.

        Raises `BulkUnavailable` where paging may still do (or will say better what is wrong) and
        `TransientFailure` where the file could not be fetched."""
        identity = self._start(name, bulk_query(name, search))
        failpoint("shopify.bulk_started")
        state = self._wait(name, identity)
        began = _moment(state.get("createdAt"))
        url = state.get("url")
        if not url:
            if _count(state.get("objectCount")) not in (0, None):
                raise BulkUnavailable(f"{name} completed with objects but without a file")
            return Finished(began, None)
        file = tempfile.TemporaryFile(  # noqa: SIM115 - the caller closes it
            mode="w+b", buffering=LINE_BUFFER, dir=self.spool_folder, prefix="shopify-bulk-"
        )
        try:
            failpoint("shopify.bulk_downloading")
            self._download(name, identity, state, file)
            failpoint("shopify.bulk_downloaded")
            check_file(file, _count(state.get("objectCount")), name)
        except BaseException:
            file.close()
            raise
        return Finished(began, file)

    def _start(self, name: str, query: str) -> str:
        waited, pause = 0.0, 2.0
        while True:
            payload = self.client.run("RunBulk", {"query": query})["bulkOperationRunQuery"] or {}
            errors = payload.get("userErrors") or []
            if not errors:
                operation = payload.get("bulkOperation") or {}
                if not operation.get("id"):
                    raise BulkUnavailable(f"{name}: no operation was started")
                return str(operation["id"])
            codes = {str(error.get("code")) for error in errors}
            said = "; ".join(str(error.get("message")) for error in errors[:2])
            if not codes & BUSY_CODES or waited + pause > self.busy_patience:
                raise BulkUnavailable(f"{name} was refused: {said}")
            log.info("shopify: %s waits for another bulk operation: %s", name, said)
            self.client.http.sleep(pause)
            waited += pause
            pause = min(2 * pause, 30.0)

    def _wait(self, name: str, identity: str) -> JsonObject:
        clock = self.client.http.clock
        started, pause = clock(), FIRST_POLL_SECONDS
        while True:
            state: JsonObject | None = self.client.run("BulkState", {"id": identity})["bulkOperation"]
            if state is None:
                raise BulkUnavailable(f"{name}: the operation is not known any more")
            failpoint("shopify.bulk_polled")
            status = state.get("status")
            if status == "COMPLETED":
                return state
            if status == "FAILED":
                # `partialDataUrl` holds what came before the failure. A part is never taken for the whole. On
                # ACCESS_DENIED the page that is asked for instead will name the scope that lacks.
                raise BulkUnavailable(f"{name} failed ({state.get('errorCode')})")
            if status in ("CANCELED", "EXPIRED"):
                raise BulkUnavailable(f"{name} ended as {status}")
            if clock() - started > self.patience:
                self._cancel(identity)
                raise BulkUnavailable(f"{name} did not finish in {self.patience:.0f} s and was cancelled")
            self.client.http.sleep(pause)
            pause = min(pause * 1.6, LONGEST_POLL_SECONDS)

    def _cancel(self, identity: str) -> None:
        try:
            self.client.run("CancelBulk", {"id": identity})
        except (PermanentFailure, TransientFailure) as error:
            log.warning("shopify: could not cancel %s: %s", identity, error)

    def _download(self, name: str, identity: str, state: JsonObject, file: IO[bytes]) -> None:
        size = _count(state.get("fileSize"))
        url = str(state["url"])
        for attempt in (1, 2):
            self._check_host(url)
            try:
                self.client.http.download(url, file, expected_size=size, largest=LARGEST_FILE)
                return
            except PermanentFailure as failure:
                if attempt == 2:
                    raise BulkUnavailable(f"{name}: {failure}") from failure
                # The link is signed for a limited time: a new one may be had from the operation.
                again = self.client.run("BulkState", {"id": identity})["bulkOperation"] or {}
                if not again.get("url") or again.get("status") != "COMPLETED":
                    raise BulkUnavailable(f"{name}: {failure}") from failure
                url = str(again["url"])

    def _check_host(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if same_origin(url, self.client.http.base_url):
            return
        if parts.scheme != "https" or not host.endswith(DOWNLOAD_HOSTS):
            raise BulkUnavailable(f"the file is offered at {host or 'no host'}, which is not a host of the vendor")


# -- the file -------------------------------------------------------------------------------------------

_PARENT_KEY = b'"__parentId"'
_ROOT_START = b'{"id":"'
# A place in the file is one integer: the offset, then the length of the line in the low bits.
_LENGTH_BITS = 32
_LENGTH_MASK = 2**_LENGTH_BITS - 1


def check_file(file: IO[bytes], objects: int | None, name: str) -> None:
    """Raise `TransientFailure` unless the file ends with a whole line and has as many as the vendor counted."""
    lines, last = 0, b"\n"
    file.seek(0)
    while block := file.read(MEGABYTE):
        lines += block.count(b"\n")
        last = block[-1:]
    if last != b"\n":
        lines += 1
    if objects is not None and objects != lines:
        raise TransientFailure(f"shopify: {name}: the file has {lines} lines, the vendor counted {objects} objects")


@dataclass(slots=True)
class _Layout:
    """What the first pass found: children that stand apart, by parent, and whether integers may be too large
    for the fast decoder."""

    strays: dict[bytes, list[int]] = field(default_factory=dict)
    large_integers: bool = False


def assemble(file: IO[bytes], shape: Shape) -> Iterator[tuple[JsonObject, int]]:
    """Yield every root object with its children in place, and the bytes it took in the file.

    Raises `BulkUnavailable` when a line is not JSON (perhaps after some roots were yielded: the caller reads
    the entity again, whole) or a child's parent is not in the file."""
    layout = _survey(file, nested=len(shape.lists) > 1)
    if layout.strays:
        _refuse_orphans(file, layout)
        yield from _assemble_scattered(file, shape, layout)
    else:
        yield from _assemble_grouped(file, shape, layout)


def _survey(file: IO[bytes], nested: bool) -> _Layout:
    """The first pass; about half a microsecond a line. Only where children can have children (`nested`) are
    their ids of interest."""
    layout = _Layout()
    file.seek(0)
    tail = b""
    while block := file.read(MEGABYTE):
        if may_hold_large_integer(tail + block):
            layout.large_integers = True
            break
        tail = block[-64:]
    file.seek(0)
    offset = 0
    group: set[bytes] = set()
    root, expected = b"", b"\0"
    for line in file:
        if not nested and line.endswith(expected):
            # The common case, told without looking into the line: it ends naming the root before it.
            offset += len(line)
            continue
        parent = _parent_of(line)
        if parent is None:
            if line != b"\n":
                root = _id_of(line)
                expected = b'"__parentId":"%s"}\n' % _raw_id(line)
                if nested:
                    group = set()
        elif parent != root and parent not in group:
            layout.strays.setdefault(parent, []).append(offset << _LENGTH_BITS | len(line))
        elif nested:
            group.add(_id_of(line))
        offset += len(line)
    return layout


def _parent_of(line: bytes) -> bytes | None:
    """The `__parentId` of a line as bytes, or None for a root."""
    at = line.rfind(_PARENT_KEY)
    if at < 0:
        return None
    start = at + len(_PARENT_KEY)
    end = line.find(b'"', start + 2)
    if end > 0 and line[start : start + 2] == b':"':
        return line[start + 2 : end].replace(b"\\", b"")
    # White space around the colon, or the words as the value of another field: ask a parser.
    parent = _decode(line).get("__parentId")
    return parent.encode() if isinstance(parent, str) else None


def _raw_id(line: bytes) -> bytes:
    """The id a line begins with, slashes escaped or not as the file has them; empty where it begins otherwise."""
    if not line.startswith(_ROOT_START):
        return b""
    return line[len(_ROOT_START) : max(line.find(b'"', len(_ROOT_START)), 0)]


def _id_of(line: bytes) -> bytes:
    if raw := _raw_id(line):
        return raw.replace(b"\\", b"")
    identity = _decode(line).get("id")
    return identity.encode() if isinstance(identity, str) else b""


def _decode(line: bytes, checked: bool = False) -> JsonObject:
    try:
        value = parse_json(line, checked=checked)
    except (ValueError, RecursionError) as error:
        raise BulkUnavailable(f"a line of the file is not JSON: {str(error)[:80]}") from None
    if not isinstance(value, dict):
        raise BulkUnavailable("a line of the file is not an object")
    return value


def _refuse_orphans(file: IO[bytes], layout: _Layout) -> None:
    missing = set(layout.strays)
    file.seek(0)
    for line in file:
        if not missing:
            return
        if line.strip():
            missing.discard(_id_of(line))
    if missing:
        raise BulkUnavailable(f"{len(missing)} objects of the file have children but do not stand in it themselves")


def _assemble_grouped(file: IO[bytes], shape: Shape, layout: _Layout) -> Iterator[tuple[JsonObject, int]]:
    """The second pass where every child follows its parent: one group in memory at a time."""
    checked = not layout.large_integers
    only = shape.only_list
    root: JsonObject | None = None
    members: dict[Any, JsonObject] = {}
    children: list[JsonObject] = []
    size = 0
    file.seek(0)
    for line in file:
        if line == b"\n":
            continue
        value = _decode(line, checked)
        parent = value.pop("__parentId", None)
        if parent is None:
            if root is not None:
                yield root, size
            root, size = value, len(line)
            if only is not None:
                children = root[only] = []
            else:
                shape.prepare(value)
                members = {value.get("id"): value}
        else:
            size += len(line)
            if only is not None:
                children.append(value)
            else:
                _attach(value, parent, members, shape)
    if root is not None:
        yield root, size


def _assemble_scattered(file: IO[bytes], shape: Shape, layout: _Layout) -> Iterator[tuple[JsonObject, int]]:
    """The second pass where children stand apart: those are fetched by their place when their parent comes."""
    checked = not layout.large_integers
    file.flush()
    descriptor = file.fileno()
    root: JsonObject | None = None
    members: dict[Any, JsonObject] = {}
    size = 0

    def complete(found: JsonObject) -> tuple[JsonObject, int]:
        total = size
        queue = list(members)
        for identity in queue:  # grows while it runs: a fetched child may have children standing apart too
            for place in layout.strays.get(str(identity).encode(), ()):
                line = os.pread(descriptor, place & _LENGTH_MASK, place >> _LENGTH_BITS)
                total += len(line)
                child = _decode(line, checked)
                _attach(child, child.pop("__parentId", None), members, shape)
                queue.append(child.get("id"))
        return found, total

    file.seek(0)
    for line in file:
        if not line.strip():
            continue
        parent_bytes = _parent_of(line)
        if parent_bytes is not None and (root is None or parent_bytes.decode() not in members):
            continue  # stands apart: its parent will fetch it
        value = _decode(line, checked)
        parent = value.pop("__parentId", None)
        if parent is None:
            if root is not None:
                yield complete(root)
            shape.prepare(value)
            root, members, size = value, {value.get("id"): value}, len(line)
        else:
            _attach(value, parent, members, shape)
            size += len(line)
    if root is not None:
        yield complete(root)


def _attach(child: JsonObject, parent: Any, members: dict[Any, JsonObject], shape: Shape) -> None:
    """Put `child` into its list of its parent, and among the possible parents of later objects."""
    kind = type_of(child.get("id"))
    if kind not in shape.lists:
        raise BulkUnavailable(f"the file holds a {kind or 'nameless'} object where none was asked for")
    owner = members.get(parent)
    if owner is None:
        raise BulkUnavailable("a child object precedes its parent within its group")
    shape.prepare(child)
    owner.setdefault(shape.lists[kind][1], []).append(child)
    members[child["id"]] = child


def type_of(gid: Any) -> str:
    """`LineItem` of `gid://shopify/LineItem/1?x=y`."""
    match = re.match(r"gid://shopify/(\w+)/", gid) if isinstance(gid, str) else None
    return match.group(1) if match else ""


def _count(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


__all__: Sequence[str] = ["BulkRunner", "BulkUnavailable", "Finished", "Shape", "assemble", "check_file", "type_of"]

"""`make bench`, the row beside dlt: one nested stream (orders with their lines), read whole and then what changed.

Both loaders read the same pages of the same size from the same sandbox into the same Postgres, one after the other
in one run, each load in a process of its own, which is handed addresses and credentials: reading settings is neither
loader's work (ours would bring pydantic, 10 MB). CPU and memory are the loader's process with its children. The
ratios are of the work of a sync, after the libraries are loaded (a process that syncs loads them once); what a
process costs from its start, and Postgres' own share, are told beside it.

Belongs here: the comparison. Does not belong here: dlt's pipeline (`dlt_orders.py`).
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# A walk by cursor ends after 25,000 objects, which dlt does not know of: some 22,500 orders.
LINES = 90_000
# One order in so many has changed: on a usual day, and after a long pause.
CHANGED_EVERY = (10, 2)
# The sandbox's clock stands at 2026-11-20.
WARM_UP_SINCE = "2026-11-18T00:00:00Z"
OURS = "ops"
PLAIN, TUNED = "dlt as documented", "dlt tuned"
Row = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Measure:
    """One load: seconds of wall time, CPU of the load, of its process from the start and of Postgres meanwhile; the
    process's peak memory in MB, and what of it the libraries took before the load."""

    wall: float
    cpu: float
    process_cpu: float
    memory: float
    memory_before: float
    postgres: float = 0.0

    @property
    def added_memory(self) -> float:
        return max(self.memory - self.memory_before, 1.0)

    def __str__(self) -> str:
        return (
            f"{self.wall:.1f} s wall; from the process's start {self.process_cpu:.1f} s CPU; at most "
            f"{self.memory:.0f} MB, {self.memory_before:.0f} of them libraries; Postgres {self.postgres:.1f} s CPU"
        )


def resources_used() -> tuple[float, float]:
    """CPU seconds of this process and its ended children, and its peak memory in MB, so far."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # Not ru_maxrss: a process inherits the figure of the one that started it.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, int(peak) / 1024


def measured_load(load: Callable[[], None]) -> None:
    """Run `load` and say on the last line of output what it took."""
    began, (cpu, memory) = time.perf_counter(), resources_used()
    load()
    wall, (process_cpu, peak) = time.perf_counter() - began, resources_used()
    said = {"wall": wall, "cpu": process_cpu - cpu, "process_cpu": process_cpu, "memory": peak, "memory_before": memory}
    print(json.dumps(said))


def postgres_cpu(postmaster: int) -> float:
    """CPU seconds of the server so far, its ended backends included."""
    import psutil

    total = 0.0
    process = psutil.Process(postmaster)
    for each in [process, *process.children(recursive=True)]:
        try:
            used = each.cpu_times()
        except psutil.Error:
            continue
        total += used.user + used.system + (used.children_user + used.children_system if each == process else 0)
    return total


def load_ours(given: dict[str, Any]) -> None:
    """A child process: our loader, walking pages as dlt does (a bulk operation would be cheaper still)."""
    import psycopg

    import resources.http_transport  # noqa: F401
    from ops_platform.ingestion.sync import sync_stream
    from ops_platform.sealed import Sealed
    from resources.http import HttpClient
    from resources.shopify import ShopifyClient, ShopifySource

    http = HttpClient("shopify", given["url"])
    client = ShopifyClient(http, given["client_id"], Sealed(given["client_secret"]), given["version"])
    source = ShopifySource(client, bulk_first=False)
    now = datetime.fromisoformat(given["now"])

    def load() -> None:
        with psycopg.connect(given["database"], autocommit=True, options="-c timezone=UTC") as connection:
            result = sync_stream(connection, source, source.streams[given["stream"]], now=now, today=now.date())
        assert (result.status, result.tie_out) == ("succeeded", "matched"), result

    measured_load(load)


def child(*arguments: str, postmaster: int, bytecode: Path) -> Measure:
    """One load in a process of its own. `bytecode` is where modules are kept compiled, as they are on any machine that
    has run them before: compiling is neither loader's work."""
    before = postgres_cpu(postmaster)
    environment = {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(bytecode)}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} failed: {done.stderr[-2000:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    return Measure(**said, postgres=postgres_cpu(postmaster) - before)


def bench_dlt(row: Row, write_orders: Callable[[Path, int], None], sandbox: Any, touch: Callable[..., int]) -> None:
    """Full and incremental, ours and dlt's, the latter as its documentation begins and as it is fastest here."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        release = version("dlt")
    except PackageNotFoundError:
        row("beside dlt", "not measured", "dlt is not installed: make bench installs the group `bench`")
        return
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as scratch:
        home = Path(scratch)
        write_orders(home / "orders.csv", LINES)
        with sandbox(home, home / "orders.csv") as url:
            from ops_platform import clock
            from ops_platform.commands.prepare import prepare_database
            from ops_platform.database import connect, database_url
            from ops_platform.database.server import release_server
            from ops_platform.settings import get_settings
            from resources.shopify.client import LARGEST_PAGE_OF_RECORDS
            from resources.shopify.documents import operation
            from resources.vendors import source_of

            prepare_database()
            postmaster = int((get_settings().ops_home / "postgres" / "postmaster.pid").read_text().split()[0])
            source: Any = source_of("shopify", get_settings())
            unthrottled(url)
            # The page size our client settles on by the vendor's cost is given to dlt too.
            variables = {"lines": 10, "refundLines": 5, "adjustments": 2}
            first = 5
            for _ in range(4):
                page = {**variables, "first": first, "after": None, "query": None}
                source.client.run("OrdersPage", page, items=first)
                first = source.client._gauges["OrdersPage"].largest(LARGEST_PAGE_OF_RECORDS)
            settings: dict[str, Any] = {
                "url": url, "path": f"/admin/api/{source.client.version}/graphql.json",
                "token": source.client._current_token().get_secret_value(),
                "query": operation("OrdersPage"), "variables": {**variables, "first": first, "after": None},
                "database": database_url().replace("@/", ":none@localhost/"),
            }  # fmt: skip

            def run(*arguments: str) -> Measure:
                return child(*arguments, postmaster=postmaster, bytecode=home / "bytecode")

            def our_child(stream: str) -> Measure:
                file = home / f"ours_{stream}.json"
                ours = {
                    "url": url, "version": source.client.version, "client_id": source.client.client_id,
                    "client_secret": source.client.client_secret.get_secret_value(), "database": database_url(),
                    "now": clock.now().isoformat(), "stream": stream,
                }  # fmt: skip
                file.write_text(json.dumps(ours), encoding="utf-8")
                return run("tests.bench.against_dlt", str(file))

            def dlt_child(name: str, since: str | None = None) -> Measure:
                slug = name.replace(" ", "_") + ("_warm_up" if since else "")
                file = home / f"{slug}.json"
                given = {**settings, "tuned": name == TUNED, "dataset": slug, "home": str(home / slug), "since": since}
                file.write_text(json.dumps(given), encoding="utf-8")
                return run("tests.bench.dlt_orders", str(file))

            loaders: dict[str, Callable[[], Measure]] = {
                OURS: lambda: our_child("orders"),
                PLAIN: lambda: dlt_child(PLAIN),
                TUNED: lambda: dlt_child(TUNED),
            }
            # Once each, of little: so that every module is compiled.
            our_child("locations")
            for name in (PLAIN, TUNED):
                dlt_child(name, since=WARM_UP_SINCE)
            print(
                f"| beside dlt {release} | | orders with lines, {LINES:,} lines, pages of {first} orders |", flush=True
            )
            compare(row, "full sync", loaders)
            for every in CHANGED_EVERY:
                touched = touch(url, connect, every)
                compare(row, f"incremental, {touched} orders changed", loaders)
                check_same(connect)
            release_server(get_settings().ops_home)


def unthrottled(url: str) -> None:
    """The shop's query points are plenty: what is measured is loading, and dlt knows nothing of points."""
    import httpx

    body = {"vendor": "shopify", "op": "set_bucket", "data": {"maximum": 10_000_000, "restore": 1_000_000}}
    httpx.post(f"{url}/_sandbox/mutate", json=body, trust_env=False).raise_for_status()


def compare(row: Row, what: str, loaders: dict[str, Callable[[], Measure]]) -> None:
    measures = {name: load() for name, load in loaders.items()}
    for name, measure in measures.items():
        row(f"{what}, {name}", f"{measure.cpu:.1f} s CPU", str(measure))
    ours = measures.pop(OURS)
    for name, other in measures.items():
        row(
            f"{what}, {name} to ours",
            f"{other.cpu / ours.cpu:.1f} × CPU",
            f"{other.memory / ours.memory:.1f} × memory, {other.added_memory / ours.added_memory:.1f} × beyond the "
            f"libraries; {other.wall / ours.wall:.1f} × wall, {other.process_cpu / ours.process_cpu:.1f} × CPU of the "
            "process from its start",
        )


def check_same(connect: Callable[..., Any]) -> None:
    """Speed with a wrong result is worth nothing: the three tables hold the same orders and the same money."""
    ours = "select count(*), sum((payload#>>'{totalPriceSet,shopMoney,amount}')::numeric), max(payload->>'updatedAt')"
    plain = "select count(*), sum(total_price_set__shop_money__amount::numeric), max(updated_at)"
    tuned = "select count(*), sum((total_price_set#>>'{shopMoney,amount}')::numeric), max(updated_at)"
    with connect() as connection:
        found = [
            connection.execute(query.encode()).fetchone()[:2]
            for query in (
                f"{ours} from raw_shopify.orders where deleted_at is null",
                f"{plain} from {PLAIN.replace(' ', '_')}.orders",
                f"{tuned} from {TUNED.replace(' ', '_')}.orders",
            )
        ]
    if len(set(found)) != 1:
        raise RuntimeError(f"the loads differ: {found}")


if __name__ == "__main__":
    load_ours(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

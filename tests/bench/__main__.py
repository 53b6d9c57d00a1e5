"""`make bench`: speed and memory, measured on this machine, in one run.

    python -m tests.bench                all of it
    python -m tests.bench load demo      some of it: load, dlt, demo, start, stack, history

Belongs here: measurements. Does not belong here: pass or fail (tests).
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from tests.bench.against_dlt import bench_dlt
from tests.bench.warehouse_history import bench_history
from tests.bench.watch_judging import bench_watch

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(sys.executable).parent
LINES = 300_000
CLOCK = "2026-11-20T06:00:00+00:00"


def row(name: str, figure: str, note: str = "") -> None:
    print(f"| {name} | {figure} | {note} |", flush=True)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and own CPU seconds of `work`."""
    wall, own = time.perf_counter(), cpu()
    work()
    return time.perf_counter() - wall, cpu() - own


def write_orders(path: Path, lines: int) -> None:
    """A deterministic orders file of about `lines` lines over two years, in the columns of the sandbox."""
    chance = random.Random(20261120)
    start = datetime(2024, 11, 20, 8, tzinfo=UTC)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
        )
        written, invoice = 0, 100_000
        while written < lines:
            invoice += 1
            moment = start + timedelta(minutes=(invoice - 100_000) * 730 * 1440 // (lines // 4 + 4000))
            for _ in range(min(chance.randint(1, 7), lines - written)):
                sku = chance.randint(1, 3000)
                writer.writerow(
                    [invoice, f"S{sku:05}", f"Item {sku}", chance.randint(1, 12), moment.strftime("%Y-%m-%d %H:%M:%S"),
                     f"{chance.randint(99, 9999) / 100:.2f}", float(chance.randint(10_000, 19_999)), "United Kingdom"]
                )  # fmt: skip
                written += 1


@contextmanager
def sandbox(home: Path, orders: Path | None) -> Iterator[str]:
    from ops_platform.commands.demo import Scenario, point_settings_at
    from ops_platform.commands.demo import sandbox as start

    scenario = Scenario(home, CLOCK, "Europe/London", "GBP", orders)
    with start(scenario) as url:
        point_settings_at(url, scenario)
        yield url


def bench_load() -> None:
    """First load, nothing new, and 1 % changed, beside the bare fetch and a bare COPY of the same bytes."""
    import httpx

    with tempfile.TemporaryDirectory(prefix="ops-bench-") as scratch:
        home = Path(scratch)
        orders = home / "orders.csv"
        write_orders(orders, LINES)
        with sandbox(home, orders) as url:
            from ops_platform import clock
            from ops_platform.commands.prepare import prepare_database
            from ops_platform.database import connect
            from ops_platform.database.server import release_server
            from ops_platform.ingestion.contract import SyncResult
            from ops_platform.ingestion.sync import sync_stream
            from ops_platform.settings import get_settings
            from resources.vendors import source_of

            prepare_database()
            source = source_of("shopify", get_settings())
            assert source is not None
            stream = source.streams["orders"]
            now = clock.now()
            results: list[SyncResult] = []

            def sync() -> None:
                with connect(autocommit=True) as connection:
                    results.append(sync_stream(connection, source, stream, now=now, today=now.date()))

            wall, own = measured(sync)
            row("first load", f"{LINES / own:,.0f} lines per CPU-second", f"{wall:.1f} s wall, {own:.1f} s own CPU")
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            row("memory of the loader", f"{peak:,.0f} MB", "peak resident, imports included")
            path = bulk_output(home / "sandbox" / "ledger.sqlite")
            copy = home / "bulk.jsonl"

            def fetch() -> None:
                with (
                    httpx.Client(base_url=url, trust_env=False, timeout=120) as client,
                    client.stream("GET", path) as answer,
                    copy.open("wb") as file,
                ):
                    answer.raise_for_status()
                    for block in answer.iter_bytes():
                        file.write(block)

            wall, own = measured(fetch)
            size = copy.stat().st_size / 1e6
            row(
                "bare fetch of the same bytes",
                f"{LINES / own:,.0f} lines per CPU-second",
                f"{wall:.1f} s, {size:.0f} MB",
            )
            wall, own = measured(lambda: bare_copy(copy))
            row("bare COPY of the same bytes", f"{LINES / own:,.0f} lines per CPU-second", f"{wall:.1f} s wall")
            wall, own = measured(sync)
            row(
                "second sync, nothing new",
                f"{1000 * wall:.0f} ms",
                f"{1000 * own:.0f} ms CPU, {results[-1].changed} changed",
            )
            touched = touch_orders(url, connect)
            wall, own = measured(sync)
            row(
                "1 % changed",
                f"{wall:.2f} s",
                f"{own:.2f} s CPU, {results[-1].received} of {touched} touched orders read",
            )
            release_server(get_settings().ops_home)


def bulk_output(ledger: Path) -> str:
    """The path of the largest bulk result that was served."""
    import sqlite3

    with sqlite3.connect(ledger) as connection:
        (path,) = connection.execute(
            "select path from requests where operation = 'bulk_result' order by bytes_out desc limit 1"
        ).fetchone()
    return str(path)


def bare_copy(path: Path) -> None:
    """The same bytes into a table of one text column, nothing parsed: the floor."""
    from ops_platform.database import connect

    with connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("create temporary table bare (line text)")
        with cursor.copy("copy bare from stdin") as copy, path.open("rb") as lines:
            while block := lines.read(1 << 20):
                copy.write(block.replace(b"\\", b"\\\\"))


def touch_orders(url: str, connect: Callable[..., Any], every: int = 100) -> int:
    """Change one order in a hundred (in `every`) at the vendor's side; how many."""
    import httpx

    with connect() as connection:
        ids = [
            identity
            for (identity,) in connection.execute("select id from raw_shopify.orders order by id").fetchall()[::every]
        ]
    with httpx.Client(base_url=url, trust_env=False, timeout=120) as client:
        for identity in ids:
            body = {"vendor": "shopify", "op": "touch_order", "data": {"id": identity}}
            client.post("/_sandbox/mutate", json=body).raise_for_status()
    return len(ids)


def bench_demo() -> None:
    """The whole cycle, first and again."""
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as scratch:
        environment = {**os.environ, "OPS_HOME": scratch}
        for name in ("whole demo cycle", "again, nothing new"):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.perf_counter()
            done = subprocess.run(
                [str(BINARIES / "ops"), "demo", "--json"], env=environment, capture_output=True, text=True, check=False
            )
            wall = time.perf_counter() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            said = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr[-300:]}
            row(name, f"{wall:.1f} s", f"{used:.1f} s CPU, sandbox included; posted {said.get('posted_now', said)}")


def bench_start() -> None:
    """Import time and memory of what stays resident, and of the command line."""
    for name, code in (
        ("import ops_platform.definitions", "import ops_platform.definitions"),
        ("ops --help", "from ops_platform.cli import cli; cli(['--help'], standalone_mode=False)"),
    ):
        script = (
            "import time, resource, sys, io; began = time.perf_counter(); sys.stdout = io.StringIO()\n"
            f"{code}\n"
            "sys.stdout = sys.__stdout__\n"
            "print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            row(name, "failed", done.stderr.strip().splitlines()[-1])
            continue
        seconds, megabytes = (float(word) for word in done.stdout.split())
        row(name, f"{seconds:.2f} s", f"{megabytes:.0f} MB resident")


KINDS = {
    "service web": "web", "instance.pace": "daemon", "api grpc": "code server", "instance.worker": "run",
    "ops-dbt": "dbt", "postgres": "postgres",
}  # fmt: skip


def proportional_memory(roots: list[psutil.Process]) -> dict[str, float]:
    """Proportional set size in MB of process families, by what each process is."""
    found: dict[str, float] = {}
    for root in roots:
        for process in [root, *root.children(recursive=True)]:
            try:
                size = process.memory_full_info().pss / 1e6
                words = " ".join(process.cmdline())
            except psutil.Error:
                continue
            kind = next((name for part, name in KINDS.items() if part in words), "supervisor")
            found[kind] = found.get(kind, 0.0) + size
    return found


def bench_stack() -> None:
    """Memory of `ops up`: idle, and the most while the pulse runs."""
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as scratch:
        home = Path(scratch)
        environment = {**os.environ, "OPS_HOME": scratch, "OPS_WEB_PORT": "3987"}
        subprocess.run([str(BINARIES / "ops"), "demo", "--json"], env=environment, check=True, capture_output=True)
        environment["OPS_HOME"] = str(home / "demo")
        subprocess.run([str(BINARIES / "ops"), "up"], env=environment, check=True, capture_output=True)
        try:
            time.sleep(20)
            supervisor = psutil.Process(int(json.loads((home / "demo" / "stack.json").read_text())["supervisor"]))
            postmaster = int((home / "demo" / "postgres" / "postmaster.pid").read_text().split()[0])
            roots = [supervisor, psutil.Process(postmaster)]
            memory_row("idle memory of `ops up`", proportional_memory(roots))
            peak: dict[str, float] = {}
            workspace = str(home / "demo" / "dagster" / "workspace.yaml")
            # Launched through the code server, as the daemon does.
            run = subprocess.Popen(
                [str(BINARIES / "dagster"), "job", "launch", "-w", workspace, "-j", "ops_pulse"],
                env={
                    **environment, "DAGSTER_HOME": str(home / "demo" / "dagster"),
                    "OPS_DAGSTER_DATABASE_URL": f"postgresql://postgres@/dagster?host={home / 'demo' / 'run'}",
                },
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            for _ in range(240):
                now = proportional_memory(roots)
                if sum(now.values()) > sum(peak.values()):
                    peak = now
                time.sleep(0.25)
            run.wait()
            memory_row("most while the pulse runs", peak)
        finally:
            subprocess.run([str(BINARIES / "ops"), "down"], env=environment, check=False, capture_output=True)


def memory_row(name: str, parts: dict[str, float]) -> None:
    detail = ", ".join(f"{kind} {size:.0f}" for kind, size in sorted(parts.items()))
    row(name, f"{sum(parts.values()):.0f} MB", f"proportional: {detail}")


BENCHES: dict[str, Callable[[], None]] = {
    "start": bench_start, "stack": bench_stack, "demo": bench_demo, "load": bench_load,
    "dlt": lambda: bench_dlt(row, write_orders, sandbox, touch_orders), "history": lambda: bench_history(row),
    "watch": lambda: bench_watch(row),
}  # fmt: skip


def main() -> None:
    chosen = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in chosen if name not in BENCHES]
    if unknown:
        sys.exit(f"no such measurement: {', '.join(unknown)}; choose among {', '.join(BENCHES)}")
    print("| what | figure | how |\n|---|---|---|", flush=True)
    for name in chosen:
        BENCHES[name]()


if __name__ == "__main__":
    main()

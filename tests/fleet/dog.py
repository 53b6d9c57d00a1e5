"""A watchdog to be let loose: its home, its files of the kernel, and a server that takes what it posts.

Belongs here: starting the real script under dash. Does not belong here: what it should say (`test_watchdog.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "watchdog.sh"
SHELL = shutil.which("dash") or "sh"
SECRET = "T0KEN-of-the-hook"


class Mailbox(ThreadingHTTPServer):
    """What was posted, and how often the dead-man switch was fed. `refusing` answers 500."""

    def __init__(self) -> None:
        self.posts: list[str] = []
        self.pings = 0
        self.refusing = False
        box = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not box.refusing:
                    box.posts.append(json.loads(body)["text"])
                self._end(500 if box.refusing else 200)

            def do_GET(self) -> None:
                box.pings += 1
                self._end(200)

            def _end(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@dataclass(slots=True)
class Dog:
    """One installation: `home` as the platform has it, `proc` as the kernel shows it."""

    home: Path
    proc: Path
    box: Mailbox
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path, box: Mailbox, **environment: str) -> Dog:
        home, proc = folder / "home", folder / "proc"
        (home / "backups" / "today").mkdir(parents=True)
        (home / "backups" / "today" / "SHA256SUMS").write_text("x")
        (proc / "sys" / "kernel" / "random").mkdir(parents=True)
        dog = cls(home, proc, box, environment)
        dog.machine()
        return dog

    def machine(
        self, *, free: int = 50, killed: int = 0, running: float | None = None, boot: str = "b1", total: int = 2_000_000
    ) -> None:
        """The kernel's files: percent of memory available, processes it ended, seconds since it started."""
        running = time.time() - 1_700_000_000 if running is None else running
        (self.proc / "meminfo").write_text(
            f"MemTotal: {total} kB\nMemFree: 1 kB\nMemAvailable: {total * free // 100} kB\n"
        )
        (self.proc / "vmstat").write_text(f"nr_free 1\noom_kill {killed}\n")
        (self.proc / "uptime").write_text(f"{running:.2f} 1.00\n")
        (self.proc / "stat").write_text("cpu 1\nbtime 1700000000\n")
        (self.proc / "sys" / "kernel" / "random" / "boot_id").write_text(f"{boot}\n")

    def look(self, *options: str, path: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": path or os.environ["PATH"], "HOME": str(self.home), "OPS_HOME": str(self.home),
            "OPS_WATCHDOG_PROC": str(self.proc), "OPS_WATCHDOG_NAME": "here", "OPS_WATCHDOG_PAUSE": "0",
            "OPS_WATCHDOG_WEBHOOK": f"{self.box.url}/{SECRET}", "OPS_WATCHDOG_PING_URL": f"{self.box.url}/ping",
            "OPS_WATCHDOG_DISK_PERCENT": "0", "NO_PROXY": "*", "no_proxy": "*", **self.environment, **more,
        }  # fmt: skip
        return subprocess.run(
            [SHELL, str(SCRIPT), "--env", str(self.home / "none.env"), *options],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def told(self, *options: str, **more: str) -> str:
        """What one look posted: one message, or nothing."""
        before = len(self.box.posts)
        done = self.look(*options, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(self.box.posts) - before <= 1
        return self.box.posts[-1] if len(self.box.posts) > before else ""

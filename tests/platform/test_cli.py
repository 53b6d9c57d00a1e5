"""The command line starts fast, explains itself, and ends with the right code and one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OPS = Path(sys.executable).parent / "ops"


def ops(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OPS_", "SHOPIFY_", "SLACK_"))}
    return subprocess.run(
        [str(OPS), *arguments], env={**clean, **environment}, capture_output=True, text=True, check=False, cwd="/"
    )


@pytest.mark.parametrize(
    "command",
    [
        "demo", "up", "down", "status", "doctor", "sync", "quarantine", "schema", "reconcile", "run", "pulse", "metric",
        "dbt", "alert", "costs",
    ],
)  # fmt: skip
def test_every_command_has_help(command: str) -> None:
    done = ops(command, "--help")
    assert done.returncode == 0
    assert "Usage: ops" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ops_platform.cli import cli; cli(['--help'], standalone_mode=False);"
        "print([m for m in ('dagster','pandas','dbt','anthropic','psycopg','slack_sdk','urllib3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("sync", "--no-such-option"), ("pulse", "--format", "papyrus"), ("run",)]
)
def test_wrong_use_is_two(arguments: tuple[str, ...]) -> None:
    done = ops(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_mistyped_command_names_the_near_one() -> None:
    assert "Did you mean 'status'?" in ops("statu").stderr


def test_a_command_imports_its_own_family_only() -> None:
    code = (
        "import sys; from ops_platform.cli import cli; cli(['alert', '--help'], standalone_mode=False);"
        "print(sorted(m for m in sys.modules if m.startswith('ops_platform.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().splitlines()[-1] == "['ops_platform.cli.alert', 'ops_platform.cli.options']"


def test_a_dead_database_is_one_line(tmp_path: Path) -> None:
    url = "postgresql://someone:canary-secret@127.0.0.1:9/postgres"
    done = ops("sync", OPS_HOME=str(tmp_path), OPS_DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot reach PostgreSQL at 127.0.0.1:9" in done.stderr
    assert "OPS_DATABASE_URL" in done.stderr
    assert "canary-secret" not in done.stderr + done.stdout


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    done = ops("status", OPS_HOME=str(tmp_path), OPS_ENV="prod")
    assert done.returncode == 1
    assert "OPS_ENV" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_vendor_or_stream_names_the_known_ones(tmp_path: Path) -> None:
    done = ops("sync", "shopfy", OPS_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "shopify, netsuite, slack" in done.stderr
    done = ops("sync", "shopify.ordrs", OPS_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "orders" in done.stderr


def test_a_named_vendor_without_credentials_says_what_to_do(tmp_path: Path) -> None:
    done = ops("sync", "netsuite", OPS_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "netsuite is not connected" in done.stderr


def test_missing_or_foreign_orders_file_is_one_line(tmp_path: Path) -> None:
    done = ops("demo", "--orders", str(tmp_path / "none.csv"), OPS_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "there is no file" in done.stderr
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    done = ops("demo", "--orders", str(other), OPS_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "no column InvoiceDate" in done.stderr

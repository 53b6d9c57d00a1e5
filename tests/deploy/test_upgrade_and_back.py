"""An installation as on a server, without systemd: the next release, back again, and one that does not run.

It installs as root for the account `ops`, which `deploy/install.sh` makes on a server; elsewhere it skips."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ops_platform.settings import PROJECT_ROOT

#: Of this machine, not of whoever runs the tests: the account must be able to run it.
PYTHON = "/usr/bin/python3"
#: No release of ours has it.
NEXT = "9000"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def account() -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam("ops"))
    return False


class Installation:
    """What `deploy/install.sh` made below `place`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OPS_", "PYTEST"))}
        self.environment = clean | {
            "PYTHON": PYTHON, "OPS_NO_SYSTEMCTL": "1", "OPS_BASE": str(place / "opt"), "OPS_ETC": str(place / "etc"),
            "OPS_VAR": str(place / "var"), "OPS_BACKUP_DIR": str(place / "backups"), "OPS_UNITS": str(place / "units"),
        }  # fmt: skip
        (place / "units").mkdir()
        self.run("sh", str(self.source("first") / "deploy" / "install.sh"))
        with (place / "etc" / "ops.env").open("a", encoding="utf-8") as settings:
            settings.write("OPS_WEB_PORT=3993\n")

    def source(self, name: str, migration: str = "") -> Path:
        """A release as it is committed, with a migration of its own where one is given."""
        path = self.place / "sources" / name
        subprocess.run(["git", "clone", "-q", str(PROJECT_ROOT), str(path)], check=True)
        if migration:
            (path / "ops_platform" / "database" / "migrations" / f"{NEXT}_{name}.sql").write_text(migration)
            for words in (["add", "-A"], ["-c", "user.email=a@b.c", "-c", "user.name=a", "commit", "-qm", name]):
                subprocess.run(["git", "-C", str(path), *words], check=True)
        return path

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def ops(self, *words: str, code: int = 0) -> str:
        return self.run(str(self.place / "opt" / "ops"), *words, code=code)

    @property
    def current(self) -> Path:
        return (self.place / "opt" / "current").resolve()

    def ask(self, query: str) -> str:
        """A value of the warehouse, asked by the account the platform runs as."""
        code = (
            "from ops_platform.database import connect\n"
            f"with connect() as c: print('value', c.execute({query!r}).fetchone()[0])"
        )
        python = self.current / ".venv" / "bin" / "python"
        said = self.run(
            "setpriv", "--reuid=ops", "--regid=ops", "--init-groups", "sh", "-c",
            f'cd {self.current} && OPS_ENV=production OPS_HOME={self.place}/var exec {python} -W ignore -c "$0"', code,
        )  # fmt: skip
        return said.strip().splitlines()[-1].removeprefix("value ")


@pytest.fixture
def installed() -> Iterator[Installation]:
    if os.geteuid() != 0 or not account():
        pytest.skip("needs root and the account `ops`, which an installation makes")
    if shutil.which("setpriv") is None or not Path(PYTHON).exists():
        pytest.skip(f"needs setpriv and {PYTHON}")
    with tempfile.TemporaryDirectory(prefix="ops-installed-", dir="/var/tmp") as scratch:
        place = Path(scratch)
        place.chmod(0o755)
        installation = Installation(place)
        try:
            installation.ops("up")
            yield installation
        finally:
            with suppress(AssertionError):
                installation.ops("down")


def test_to_the_next_release_and_back(installed: Installation) -> None:
    first = installed.current
    tables = "select count(*) from pg_tables where schemaname = 'ops' and tablename = 'of_the_next'"
    migrations = "select count(*) from ops_migrations.applied"
    before = installed.ask(migrations)

    changed = installed.source("next", "create table ops.of_the_next (id bigint);")
    installed.ops("upgrade", str(changed))
    second = installed.current
    assert second != first and installed.ask(tables) == "1"
    # A person backs up again on the same day: what the upgrade goes back to stays.
    installed.ops("backup")
    record = json.loads((installed.place / "opt" / "upgrade.json").read_text())
    assert Path(record["backup"]).is_dir()

    # Without it there is no way back, which is said before anything stands still.
    away = Path(record["backup"]).rename(installed.place / "away")
    assert "nothing was changed" in installed.ops("rollback", code=1)
    assert installed.current == second and "✓" in installed.ops("selfcheck", "--live", "--wait", "60")
    away.rename(record["backup"])

    installed.ops("rollback")
    assert installed.current == first
    assert (installed.ask(tables), installed.ask(migrations)) == ("0", before)
    assert "✗" not in installed.ops("selfcheck", "--live", "--wait", "60")
    assert "taken back already" in installed.ops("rollback", code=1)

    broken = installed.source("broken", "select 1 / 0;")
    assert "does not run here" in installed.ops("upgrade", str(broken), code=1)
    assert installed.current == first and installed.ask(migrations) == before
    assert "✗" not in installed.ops("selfcheck", "--live", "--wait", "60")

"""`ops upgrade` and `ops rollback`: from one release to another and back within a quarter of an hour.

Belongs here: the order of the steps, what undoes them, the record of the last upgrade. Does not belong here: building a
release (`deploy/install.sh`), making and restoring backups (`ops_platform.backup`), what "well" is (`selfcheck.py`).

Every release is a directory with its own interpreter; `current` names the one that runs. An upgrade builds and checks
the new one beside it, makes a backup, stops, switches, starts, and looks until all is well; if it is not, it goes back
by itself. Going back is the same in the other direction; where the newer release had changed the database, the backup
made before the upgrade is restored (and what was there is kept), and the outbox asks what was sent meanwhile.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from ops_platform.failures import ConfigurationError, OpsError
from ops_platform.settings import PROJECT_ROOT, get_settings

RECORD = "upgrade.json"
KEPT_RELEASES = 3
ROLLBACK_SECONDS = 15 * 60
LIVE_SECONDS = "600"


class UpgradeFailure(OpsError):
    """The new release does not run here; the old one does again, unless the text says otherwise."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The last upgrade: from which release to which, when, and the backup made before it."""

    before: str
    after: str
    backup: str
    at: str


def upgrade(source: Path, *, base: Path | None) -> int:
    """Install the release in `source` and run it. Exit code 1 when the old one had to be taken again."""
    place = _base(base)
    old = (place / "current").resolve()
    began = time.monotonic()
    _say(began, f"building the release beside {old.name}")
    new = _build(source, place)
    _say(began, "checking that it loads with these settings")
    try:
        # Its definitions load and its fleet.yaml is valid; the database is not touched yet.
        _ops(new, "selfcheck", "--code")
    except OpsError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise UpgradeFailure(f"nothing was changed: {error}") from None
    _say(began, "backup")
    made = json.loads(_ops(old, "backup", "--before-upgrade", "--json"))
    stopped = time.monotonic()
    _stop(old)
    record = Upgrade(str(old), str(new), str(made["path"]), datetime.now(UTC).isoformat())
    (place / RECORD).write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
    _switch(place, new)
    _say(began, f"starting {new.name}")
    try:
        _start(new)
        _ops(new, "selfcheck", "--live", "--wait", LIVE_SECONDS)
    except OpsError as error:
        click.secho(f"✗ {new.name} does not run here: {error}", fg="red", err=True)
        _back(place, record, began)
        raise UpgradeFailure(f"{old.name} runs again; why {new.name} did not stands above") from None
    _say(began, f"{new.name} runs; work stood still for {time.monotonic() - stopped:.0f} s")
    _forget_old(place, keep={old, new})
    return 0


def rollback(*, base: Path | None) -> int:
    """Run the release before the last upgrade again."""
    place = _base(base)
    try:
        record = Upgrade(**json.loads((place / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(f"there is no upgrade to take back in {place}") from None
    if (place / "current").resolve() != Path(record.after):
        raise ConfigurationError(f"{place}/current is not {record.after}: the last upgrade was taken back already")
    began = time.monotonic()
    _back(place, record, began)
    spent = time.monotonic() - began
    _say(began, f"{Path(record.before).name} runs again, after {spent:.0f} s")
    return 0 if spent <= ROLLBACK_SECONDS else 1


def _back(place: Path, record: Upgrade, began: float) -> None:
    old, new = Path(record.before), Path(record.after)
    if not (old / ".venv" / "bin" / "ops").exists():
        raise UpgradeFailure(f"{old} is gone: `deploy/install.sh` from its source, then `ops restore {record.backup}`")
    if not Path(record.backup).is_dir() and _newer_database(old):
        raise UpgradeFailure(
            f"nothing was changed: {new.name} changed the database, and the backup made before it, {record.backup}, is"
            " gone. Put it there again, or stay and upgrade to a release that mends what is wrong"
        )
    _say(began, f"stopping {new.name}")
    _stop(new)
    _switch(place, old)
    if _newer_database(old):
        _say(began, "the database was changed by the newer release: restoring the backup made before it")
        _ops(old, "restore", record.backup, "--replace", "--json")
    _say(began, f"starting {old.name}")
    _start(old)
    _ops(old, "selfcheck", "--live", "--wait", LIVE_SECONDS)


def _newer_database(release: Path) -> bool:
    """Whether a newer release than this one has changed the database."""
    return "migrations this release lacks" in _ops(release, "selfcheck", "--database", allowed=(0, 1), quiet=True)


def _base(base: Path | None) -> Path:
    """Where releases are: given, or where this one is. Raises `ConfigurationError` for a plain checkout."""
    place = base or PROJECT_ROOT.resolve().parent.parent
    if not (place / "current").is_symlink() or not (place / "releases").is_dir():
        raise ConfigurationError(f"{place} is no installation: `deploy/install.sh` makes one")
    return place


def _build(source: Path, place: Path) -> Path:
    script = source / "deploy" / "install.sh"
    if not script.exists():
        raise ConfigurationError(f"{source} is no release: it has no deploy/install.sh")
    environment = {**os.environ, "OPS_BASE": str(place), "OPS_BUILD_ONLY": "1"}
    done = subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UpgradeFailure(f"nothing was changed; the release could not be built: {done.stderr.strip()[-600:]}")
    return Path(done.stdout.strip().splitlines()[-1])


def _switch(place: Path, release: Path) -> None:
    temporary = place / f"next.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(release)
    temporary.replace(place / "current")


def _by_systemd() -> bool:
    if not Path("/run/systemd/system").is_dir():
        return False
    return subprocess.run(["systemctl", "cat", "ops.target"], capture_output=True, check=False).returncode == 0


def _stop(release: Path) -> None:
    if _by_systemd():
        _system(
            "stop", "ops.target", "ops-daemon", "ops-web", "ops-listener", "ops-coordinator", "ops-code", "ops-database"
        )
    else:
        _ops(release, "down")


def _start(release: Path) -> None:
    if _by_systemd():
        _system("daemon-reload")
        _system("reset-failed")
        _system("start", "ops.target")
    else:
        _ops(release, "up", allowed=(0, 1))  # what comes up late is waited for by the look at what runs


def _system(*words: str) -> None:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OpsError(f"systemctl {' '.join(words)}: {done.stderr.strip()}")


def _ops(release: Path, *words: str, allowed: tuple[int, ...] = (0,), quiet: bool = False) -> str:
    """Run a command of one release, with its own interpreter; returns what it printed. Raises `OpsError`."""
    account = _account()
    done = subprocess.run(
        [str(release / ".venv" / "bin" / "ops"), *words], cwd=release, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, user=account, group=account, extra_groups=None if account is None else [],
    )  # fmt: skip
    if done.returncode not in allowed:
        said = " ".join((done.stdout + done.stderr).split())[-500:]
        raise OpsError(f"`ops {' '.join(words)}` of {release.name} ended with {done.returncode}: {said}")
    return done.stdout + (done.stderr if quiet else "")


def _account() -> str | None:
    """Whom commands of a release run as: root builds and switches, the owner of the home does everything else."""
    import pwd

    if os.geteuid() != 0 or not get_settings().ops_home.exists():
        return None
    owner = get_settings().ops_home.stat().st_uid
    return None if owner == 0 else pwd.getpwuid(owner).pw_name


def _forget_old(place: Path, keep: set[Path]) -> None:
    """Releases beyond the last few are removed; never the one that runs or the one before it."""
    found = sorted((path for path in (place / "releases").iterdir() if path.is_dir()), reverse=True)
    for path in found[KEPT_RELEASES:]:
        if path.resolve() not in keep:
            shutil.rmtree(path, ignore_errors=True)


def _say(began: float, words: str) -> None:
    click.echo(f"{time.monotonic() - began:6.1f} s  {words}", err=True)

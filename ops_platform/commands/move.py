"""`ops move`: to a new server in four phases, each checked by itself and taken back in minutes.

Belongs here: what each phase does, how it is proven, how it is undone, and where it stands. Does not belong here:
backups (`ops_platform.backup`), what "well" is (`selfcheck.py`, `doctor.py`).

    1 prepare    new server   the release runs, the credentials work, nothing is in the databases
    2 rehearse   new server   a backup of the old one is restored aside and compared; nothing is posted
    3 switch     old server   stopped for good, a last backup; on the new one it is restored, and started
    4 settle     new server   the channels were read, jobs ran, nothing failed; the old one is kept until then

The first two change nothing that runs. The third is taken back by starting the old server again; after the fourth, by
moving the other way. The old server never posts after the switch: nothing starts on a home that is marked as moved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ops_platform.commands.findings import Finding, show
from ops_platform.failures import ConfigurationError, OpsError
from ops_platform.settings import Settings, get_settings

STATE, MOVED = "move.json", "MOVED"
UNDO_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: its name, where it is run, what it does (returns what was found), and what takes it back."""

    name: str
    where: str
    does: str
    run: Callable[[Settings, str | None], list[Finding]]
    undo: Callable[[Settings], str]


def move(phase: str, *, backup: str | None, undo: bool, as_json: bool) -> int:
    """Run a phase, or take it back. Exit code 1 when it is not proven."""
    settings = get_settings()
    chosen = PHASES[phase]
    began = time.monotonic()
    if undo:
        said = chosen.undo(settings)
        spent = time.monotonic() - began
        _note(settings, phase, "undone", spent)
        click.echo(f"{said} ({spent:.0f} s)")
        return 0 if spent <= UNDO_SECONDS else 1
    _in_order(settings, phase)
    findings = chosen.run(settings, backup)
    code = show(findings, as_json=as_json)
    _note(settings, phase, "failed" if code else "proven", time.monotonic() - began)
    if not as_json:
        click.echo(f"phase {phase}: {'not proven' if code else 'proven'} ({time.monotonic() - began:.0f} s)")
    return code


def standing(*, as_json: bool) -> int:
    """Where the move stands on this server."""
    settings = get_settings()
    noted = _noted(settings)
    if as_json:
        click.echo(json.dumps({"moved": moved(settings), "phases": noted}, indent=2))
        return 0
    for name, phase in PHASES.items():
        one = noted.get(name)
        state = f"{one['state']} {one['at'][:16]} UTC, {one['seconds']:.0f} s" if one else "not yet"
        click.echo(f"{name:<9} {phase.where:<11} {state:<34} {phase.does}")
    if moved(settings):
        click.echo(f"This server has moved: nothing starts here until `ops move switch --undo` ({_marker(settings)}).")
    return 0


def moved(settings: Settings) -> bool:
    """Whether this home gave its place to another server."""
    return _marker(settings).exists()


def refuse_if_moved(settings: Settings) -> None:
    """Raises `ConfigurationError` on a home that was moved away: two servers would say everything twice."""
    if moved(settings):
        raise ConfigurationError(
            f"this server has moved ({_marker(settings).read_text(encoding='utf-8').strip()}): nothing starts here."
            " `ops move switch --undo` takes it back"
        )


# -- the phases ------------------------------------------------------------------------------------------------------


def _prepare(settings: Settings, backup: str | None) -> list[Finding]:
    from ops_platform.commands.doctor import vendor_findings
    from ops_platform.commands.doctor_credentials import credential_findings
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.commands.selfcheck import READY, findings_of
    from resources.vendors import VENDORS

    refuse_if_moved(settings)
    prepare_database()
    return [
        *findings_of(READY), *_nothing_here(settings), *credential_findings(settings),
        *vendor_findings(list(VENDORS)),
    ]  # fmt: skip


def _rehearse(settings: Settings, backup: str | None) -> list[Finding]:
    from ops_platform.backup.restoring import drill
    from ops_platform.commands.backup import backup_named
    from ops_platform.commands.prepare import maintenance_database, prepare_database

    prepare_database()
    found = backup_named(backup)
    result = drill(found, maintenance=maintenance_database(), settings=settings)
    said = f"{found.name}: {result['tables']} tables, {result['rows']:,} rows equal, in {result['seconds']} s"
    proven = Finding("rehearsal", "restore", "ok" if result["equal"] else "failed", said if result["equal"] else "",
                     "; ".join(result["problems"][:3]), seconds=result["seconds"])  # fmt: skip
    return [proven, _young_enough(found.at), *_release_agrees(found.manifest["release"])]


def _switch(settings: Settings, backup: str | None) -> list[Finding]:
    """On the old server (without a backup) the last backup and the end; on the new one the restore and the start."""
    if backup is None:
        return _leave(settings)
    from ops_platform.backup.restoring import restore
    from ops_platform.commands.backup import backup_named, refuse_while_up
    from ops_platform.commands.prepare import maintenance_database, prepare_database

    refuse_if_moved(settings)
    refuse_while_up()
    found = backup_named(backup)
    if not (found.path / MOVED).exists():
        raise ConfigurationError(f"{found.name} was not made by `ops move switch` on the old server, which works on")
    done = restore(found, maintenance=maintenance_database(), replace=False, settings=settings)
    prepare_database()
    said = f"{done.tables} tables, {done.rows:,} rows equal, in {done.seconds} s"
    advice = "now `ops up` (or `systemctl start ops.target`), then `ops selfcheck --live`"
    return [Finding("switch", "restored", "ok", said, advice, seconds=done.seconds)]


def _leave(settings: Settings) -> list[Finding]:
    from ops_platform.backup.making import make
    from ops_platform.backup.manifest import write_sums
    from ops_platform.commands.backup import refuse_while_up

    refuse_while_up()
    _nobody_at_work()
    _marker(settings).write_text(f"since {datetime.now(UTC):%F %H:%M} UTC\n", encoding="utf-8")
    try:
        made = make(settings=settings)
        (made.path / MOVED).write_text("the last backup before a move\n", encoding="utf-8")
        write_sums(made.path)
    except BaseException:
        _marker(settings).unlink(missing_ok=True)
        raise
    advice = f"carry {made.path} over, then there: `ops move switch --backup PATH`"
    said = f"stopped for good; {made.name}, {made.size / 1e6:,.1f} MB"
    return [Finding("switch", "last backup", "ok", said, advice)]


def _settle(settings: Settings, backup: str | None) -> list[Finding]:
    from ops_platform.commands.selfcheck import LIVE, READY, findings_of
    from ops_platform.database import connect

    refuse_if_moved(settings)
    findings = [*findings_of(READY), *findings_of(LIVE)]
    with connect() as connection:
        restored = connection.execute(
            "select restored_at, reconciled_at, adopted from ops.restores order by id desc limit 1"
        ).fetchone()
        if restored is None:
            raise ConfigurationError("nothing was restored here: `ops move switch --backup PATH` first")
        runs = connection.execute(
            "select count(*), count(*) filter (where status = 'failed') from ops.receipts where started_at > %s",
            (restored[0],),
        ).fetchone() or (0, 0)
        stuck = connection.execute(
            "select count(*) filter (where state = 'held'),"
            " count(*) filter (where state = 'failed' and updated_at > %s) from ops.outbox",
            (restored[0],),
        ).fetchone() or (0, 0)
    read = restored[1] is not None
    said = f"channels read, {restored[2]} messages known again" if read else "the channels were not read"
    advice = "" if read else "`ops run ops_pulse`, or wait for the first delivery"
    findings.append(Finding("settled", "outbox", "ok" if read else "failed", said, advice))
    findings.append(Finding("settled", "messages", "warning" if any(stuck) else "ok",
                            f"{stuck[0]} held for a person, {stuck[1]} failed since the switch"))  # fmt: skip
    good = runs[0] > 0 and runs[1] == 0
    advice = "" if good else "`ops status`; wait for the first schedule, or `ops run ops_pulse`"
    said = f"{runs[0]} ran since the switch, {runs[1]} failed"
    findings.append(Finding("settled", "jobs", "ok" if good else "failed", said, advice))
    return findings


def _nothing_here(settings: Settings) -> list[Finding]:
    from ops_platform.database import connect

    with connect() as connection:
        row = connection.execute(
            "select exists (select 1 from ops.sync_runs), exists (select 1 from ops.outbox)"
        ).fetchone()
    used = row is not None and any(row)
    detail = "something was already synced or said here" if used else "empty, as a new server is"
    advice = "a new home: OPS_HOME, or an empty server in OPS_DATABASE_URL" if used else ""
    return [Finding("database", "empty", "failed" if used else "ok", detail, advice)]


def _young_enough(at: datetime) -> Finding:
    hours = (datetime.now(UTC) - at) / timedelta(hours=1)
    good = hours <= 24
    return Finding("rehearsal", "age", "ok" if good else "warning", f"{hours:.0f} h old",
                   "" if good else "rehearse with today's: `ops backup` on the old server")  # fmt: skip


def _release_agrees(theirs: dict[str, str]) -> list[Finding]:
    from ops_platform.backup.making import release

    ours = release()
    same = ours["commit"] == theirs.get("commit")
    detail = f"release {ours['commit'][:10]} here, {theirs.get('commit', 'unknown')[:10]} there"
    return [Finding("rehearsal", "release", "ok" if same else "warning", detail,
                    "" if same else "move first, upgrade afterwards: one change at a time")]  # fmt: skip


def _nobody_at_work() -> None:
    from ops_platform.database import connect

    with connect("postgres" if get_settings().ops_database_url is None else "warehouse") as connection:
        row = connection.execute(
            "select string_agg(distinct application_name, ', ') from pg_stat_activity where datname in"
            " ('warehouse', 'dagster') and pid <> pg_backend_pid() and backend_type = 'client backend'"
        ).fetchone()
    if row is not None and row[0]:
        raise ConfigurationError(f"the databases are in use ({row[0]}): `ops down`, or stop the units, first")


# -- what takes a phase back ------------------------------------------------------------------------------------------


def _undo_nothing(settings: Settings) -> str:
    return "nothing was changed, so nothing has to be taken back"


def _undo_switch(settings: Settings) -> str:
    """On the old server the mark goes; on the new one what was restored is dropped."""
    from ops_platform.commands.backup import refuse_while_up
    from ops_platform.commands.prepare import maintenance_database
    from ops_platform.database import connect

    refuse_while_up()
    if moved(settings):
        _marker(settings).unlink()
        return "this server is the company's again: `ops up`, after stopping the new one"
    _nobody_at_work()
    with connect(maintenance_database(), autocommit=True) as server:
        for name in ("warehouse", "dagster"):
            server.execute(f"drop database if exists {name} with (force)".encode())
    return "what was restored here is dropped; on the old server: `ops move switch --undo`, then `ops up`"


def _marker(settings: Settings) -> Path:
    return settings.ops_home / MOVED


def _noted(settings: Settings) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((settings.ops_home / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _note(settings: Settings, phase: str, state: str, seconds: float) -> None:
    settings.ops_home.mkdir(parents=True, exist_ok=True)
    noted = _noted(settings) | {
        phase: {"state": state, "at": datetime.now(UTC).isoformat(), "seconds": round(seconds, 1)}
    }
    (settings.ops_home / STATE).write_text(json.dumps(noted, indent=1), encoding="utf-8")


def _in_order(settings: Settings, phase: str) -> None:
    """A phase of the new server needs the one before it proven there; the old server only ever leaves."""
    before = {"rehearse": "prepare", "settle": "switch"}.get(phase)
    if before is not None and _noted(settings).get(before, {}).get("state") != "proven":
        raise OpsError(f"phase {before} is not proven on this server: `ops move {before}` first")


PHASES = {
    phase.name: phase
    for phase in (
        Phase("prepare", "new server", "the release runs, credentials work, databases empty", _prepare, _undo_nothing),
        Phase("rehearse", "new server", "a backup restored aside and compared", _rehearse, _undo_nothing),
        Phase("switch", "old, new", "old: stop for good, last backup; new: restore it", _switch, _undo_switch),
        Phase("settle", "new server", "channels read, jobs ran, nothing failed", _settle, _undo_nothing),
    )
}

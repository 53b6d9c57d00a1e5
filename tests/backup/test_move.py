"""Moving to another server: each phase proven, nothing started twice, everything taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ops_platform.commands import move as moving
from ops_platform.failures import ConfigurationError, OpsError
from ops_platform.settings import reset_settings
from tests.backup.conftest import Server
from tests.backup.test_backup import everything, fill

On = Callable[[Server], None]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[On]:
    """Makes a server the one this process works on."""

    def on(server: Server) -> None:
        monkeypatch.setenv("OPS_HOME", str(server.settings.ops_home))
        monkeypatch.setenv("OPS_BACKUPS", str(server.settings.backups_directory))
        monkeypatch.setenv("OPS_DATABASE_URL", "")
        reset_settings()

    yield on
    reset_settings()


@pytest.fixture(autouse=True)
def unmarked(source: Server, target: Server) -> Iterator[None]:
    yield
    for server in (source, target):
        for name in (moving.MOVED, moving.STATE):
            (server.settings.ops_home / name).unlink(missing_ok=True)


def test_the_old_server_stops_for_good_and_the_new_one_holds_the_same(source: Server, target: Server, on: On) -> None:
    fill(source)
    before = everything(source)
    on(source)
    assert moving.move("switch", backup=None, undo=False, as_json=True) == 0
    (last,) = source.settings.backups_directory.iterdir()
    from ops_platform.commands.prepare import prepare

    with pytest.raises(ConfigurationError, match="this server has moved"):
        prepare()
    on(target)
    assert moving.move("switch", backup=str(last), undo=False, as_json=True) == 0
    assert everything(target)["odd"] == before["odd"]
    # … and back: the new one is emptied, the old one may start again.
    assert moving.move("switch", backup=None, undo=True, as_json=True) == 0
    assert target.databases() == set()
    on(source)
    assert moving.move("switch", backup=None, undo=True, as_json=True) == 0
    moving.refuse_if_moved(source.settings)


def test_a_backup_after_which_work_went_on_is_not_switched_to(source: Server, target: Server, on: On) -> None:
    from ops_platform.backup.making import make

    backup = make(settings=source.settings)
    on(target)
    with pytest.raises(ConfigurationError, match="works on"):
        moving.move("switch", backup=str(backup.path), undo=False, as_json=True)
    assert target.databases() == set()


def test_a_server_that_failed_to_leave_goes_on(source: Server, on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise OpsError("no space left")

    monkeypatch.setattr("ops_platform.backup.making.make", broken)
    on(source)
    with pytest.raises(OpsError, match="no space"):
        moving.move("switch", backup=None, undo=False, as_json=True)
    moving.refuse_if_moved(source.settings)


def test_nobody_may_be_at_work_when_it_leaves(source: Server, on: On) -> None:
    on(source)
    with source.connect(), pytest.raises(ConfigurationError, match="in use"):
        moving.move("switch", backup=None, undo=False, as_json=True)


def test_a_rehearsal_compares_and_leaves_nothing(source: Server, target: Server, on: On) -> None:
    from ops_platform.backup.making import make

    fill(source)
    backup = make(settings=source.settings)
    on(target)
    moving._note(target.settings, "prepare", "proven", 1.0)
    assert moving.move("rehearse", backup=str(backup.path), undo=False, as_json=True) == 0
    assert {"warehouse", "dagster"} >= target.databases()


def test_phases_come_in_order(target: Server, on: On) -> None:
    on(target)
    with pytest.raises(OpsError, match="prepare is not proven"):
        moving.move("rehearse", backup=None, undo=False, as_json=True)
    with pytest.raises(OpsError, match="switch is not proven"):
        moving.move("settle", backup=None, undo=False, as_json=True)

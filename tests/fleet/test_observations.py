"""Uptime from looks: what nobody saw is unknown, a machine that was off was down, and down wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops_platform.fleet import observations
from ops_platform.fleet.observations import Observation, uptime
from tests.conftest import Connect

START = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
BELIEVED = timedelta(minutes=40)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def seen(number: float, *down: str, by: str = "watchdog", boot: float | None = None) -> Observation:
    return Observation(by, START + minutes(number), down, None if boot is None else START + minutes(boot))


def share(looks: list[Observation], end: float) -> tuple[float, float, float]:
    found = uptime(looks, START, START + minutes(end), BELIEVED)
    return tuple(span / minutes(1) for span in (found.up, found.down, found.unknown))  # type: ignore[return-value]


def test_a_look_vouches_until_the_next() -> None:
    assert share([seen(0), seen(15), seen(30, "web"), seen(45)], 60) == (45, 15, 0)


def test_what_nobody_saw_is_unknown() -> None:
    assert share([seen(0), seen(120)], 130) == (50, 0, 80)
    assert share([], 60) == (0, 0, 60)


def test_the_time_before_the_machine_started_anew_is_down() -> None:
    found = uptime([seen(0), seen(180, boot=175)], START, START + minutes(190), BELIEVED)
    assert (found.down, found.names) == (minutes(175), ("the machine",))
    # Between its start and the first look nobody knows.
    assert found.unknown == minutes(5)


def test_down_wins_among_observers() -> None:
    looks = [seen(0, by="supervisor"), seen(5, by="supervisor"), seen(0, "code server"), seen(10)]
    assert share(looks, 20) == (10, 10, 0)


def test_looks_before_the_stretch_count_for_what_they_vouch_for() -> None:
    assert share([seen(-10), seen(20, "daemon")], 30) == (20, 10, 0)


def test_the_file_survives_cut_lines_and_keeps_what_is_whole(tmp_path: Path) -> None:
    looks = [seen(0), seen(15, "web", "code server", boot=-60)]
    for look in looks:
        observations.write(tmp_path, look)
    path = tmp_path / "watchdog" / observations.FILE
    with path.open("a") as file:
        file.write("17900\twatchdog\tdow\nrubbish\n179\twatchdog\tdown\t\t\n\t\t\t\t\n17")
    assert observations.read(tmp_path) == looks


def test_the_observer_writes_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observer = observations.Observer(tmp_path, "supervisor")
    for down in ([], [], ["web"], ["web"], []):
        observer.look(down)
    assert [look.down for look in observations.read(tmp_path)] == [(), ("web",), ()]


def test_taken_in_once_and_nothing_from_the_future(warehouse: Connect) -> None:
    looks = [seen(0), seen(15, "web"), seen(900)]
    now = START + minutes(60)
    with warehouse() as connection:
        assert observations.take_in(connection, looks, now) == 2
        assert observations.take_in(connection, looks, now) == 0
        assert observations.kept(connection, START, now) == looks[:2]


def test_a_long_file_is_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "MOST_LINES", 10)
    for number in range(12):
        observations.write(tmp_path, seen(number))
    observations.shorten(tmp_path)
    assert [look.at for look in observations.read(tmp_path)] == [START + minutes(n) for n in range(7, 12)]

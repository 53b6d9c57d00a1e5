"""What `deploy/` ships: units that systemd takes, limits on every service, nothing published, nothing run as root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ops_platform.commands.services import KINDS
from ops_platform.settings import PROJECT_ROOT, Settings

DEPLOY = PROJECT_ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
LONG_LIVED = [f"ops-{kind.name}.service" for kind in KINDS]


def settings_of(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_every_service_has_a_unit() -> None:
    assert {unit.name for unit in UNITS} == {
        *LONG_LIVED,
        "ops-backup.service",
        "ops-drill.service",
        "ops-watchdog.service",
    }


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_every_unit(tmp_path: Path) -> None:
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text(encoding="utf-8")
        # What an installation has and this machine has not: the release, the account.
        text = text.replace("/opt/ops/current/.venv/bin/ops", "/bin/true").replace("/opt/ops/current", "/")
        (tmp_path / unit.name).write_text(re.sub(r"^(User|Group)=.*$", "", text, flags=re.MULTILINE), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(str(path) for path in tmp_path.iterdir())],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_service_is_bounded_and_shut_in(unit: Path) -> None:
    said = settings_of(unit)
    assert said["MemoryMax"]
    assert said["User"] == ["ops"]
    for name, value in {
        "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
        "CapabilityBoundingSet": "", "UMask": "0077", "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    }.items():  # fmt: skip
        assert said[name] == [value], name
    # A secret is never in a unit, which everybody may read.
    assert not re.search(r"(TOKEN|SECRET|PASSWORD|API_KEY)=", unit.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LONG_LIVED)
def test_a_long_lived_service_restarts_within_limits_and_ends_whole(name: str) -> None:
    said = settings_of(DEPLOY / "systemd" / name)
    assert said["Restart"][0] in ("on-failure", "always")
    assert said["StartLimitBurst"] == ["5"]
    assert said["StartLimitIntervalSec"] == ["600"]
    assert said["KillMode"] == ["control-group"]


def test_all_caps_together_fit_a_server_of_two_gigabytes_but_for_what_is_rarely_at_once() -> None:
    """What is held back softly (MemoryHigh) by the services that are always there: database, code, daemon, web."""
    soft = {unit.name: int(settings_of(unit)["MemoryHigh"][0].removesuffix("M")) for unit in UNITS if
            "MemoryHigh" in settings_of(unit)}  # fmt: skip
    assert sum(soft[f"ops-{name}.service"] for name in ("database", "code", "daemon", "web")) <= 2_100


def test_the_watchdog_does_not_end_with_what_it_watches() -> None:
    for name in ("ops-watchdog.timer", "ops-watchdog.service"):
        said = settings_of(DEPLOY / "systemd" / name)
        assert "PartOf" not in said
        assert not any("ops-" in value for value in said.get("Requires", []) + said.get("BindsTo", []))


def test_containers_publish_nothing_and_are_nobody() -> None:
    compose = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service["mem_limit"]
        assert service["restart"] == "on-failure:5"
        if name != "database":
            assert service["cap_drop"] == ["ALL"]
            assert service["read_only"] is True
    containerfile = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    assert containerfile.index("USER ops") < containerfile.index("ENTRYPOINT")
    assert "--frozen" in containerfile
    ignored = (PROJECT_ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    assert {".env", "credentials", ".ops", ".git"} <= set(ignored)


@pytest.mark.skipif(shutil.which("dash") is None, reason="no dash here")
@pytest.mark.parametrize("script", sorted(DEPLOY.glob("*.sh")), ids=lambda script: script.name)
def test_a_script_is_plain_shell(script: Path) -> None:
    assert subprocess.run(["dash", "-n", str(script)], check=False).returncode == 0


def test_every_setting_of_the_platform_stands_in_the_example() -> None:
    example = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    # Set by the launcher for one run, by tests, or for another checkout; nobody types them into a file.
    inner = {"ops_bot", "ops_fleet_file"}
    missing = [name for name in Settings.model_fields if f"{name.upper()}=" not in example and name not in inner]
    assert missing == []

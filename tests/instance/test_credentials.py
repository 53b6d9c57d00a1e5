"""What only one bot may use: read by its own runs, refused to the others by the kernel, in nobody's environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops_platform.failures import ConfigurationError
from ops_platform.instance.confinement import available
from ops_platform.settings import PROJECT_ROOT, bot_credentials

CANARY = "hapikey-canary-0123456789"
LOOK = """
import os, sys
from pathlib import Path
from ops_platform.instance.confinement import confine
from ops_platform.settings import get_settings
settings = get_settings()
directory = settings.credentials_directory
assert confine(directory, directory / f"{settings.ops_bot}.env") is True
def read(path):
    try:
        return path.read_text()
    except OSError as error:
        return type(error).__name__
print(settings.hubspot_token.get_secret_value() if settings.hubspot_token else "no token")
print("own:", read(directory / f"{settings.ops_bot}.env").strip())
for other in sorted(directory.glob("*.env")):
    if other.stem != settings.ops_bot:
        print(other.stem, read(other))
        print(os.system(f"cat {other} >/dev/null 2>&1") != 0, "by a child")
        try:
            os.link(other, directory.parent / "link")
            print(read(directory.parent / "link"), "by another name")
        except OSError as error:
            print(type(error).__name__, "by another name")
print(any("canary" in value for value in os.environ.values()))
print(open(__import__("psycopg").__file__).read(1) != "")
"""


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    directory = tmp_path / "deep" / "credentials"
    directory.mkdir(parents=True, mode=0o700)
    for bot in ("sales", "marketing"):
        file = directory / f"{bot}.env"
        file.write_text(f"HUBSPOT_TOKEN={bot}-{CANARY}\n", encoding="utf-8")
        file.chmod(0o600)
    return directory


def look(credentials: Path, bot: str, tmp_path: Path) -> list[str]:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPS_HOME": str(tmp_path / "home"), "OPS_BOT": bot,
        "OPS_CREDENTIALS": str(credentials), "HUBSPOT_TOKEN": "shared-token",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not available(), reason="this kernel has no Landlock")
def test_a_bots_run_reads_its_own_file_and_no_other(credentials: Path, tmp_path: Path) -> None:
    assert look(credentials, "sales", tmp_path) == [
        f"sales-{CANARY}",
        f"own: HUBSPOT_TOKEN=sales-{CANARY}",
        "marketing PermissionError",
        "True by a child",
        "OSError by another name",
        "False",
        "True",
    ]


@pytest.mark.skipif(not available(), reason="this kernel has no Landlock")
def test_a_bot_without_a_file_uses_what_is_shared_and_reads_none(credentials: Path, tmp_path: Path) -> None:
    said = look(credentials, "logistics", tmp_path)
    assert said[0] == "shared-token"
    assert said[1] == "own: FileNotFoundError"
    assert said.count("marketing PermissionError") == said.count("sales PermissionError") == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(credentials: Path, mode: int) -> None:
    (credentials / "sales.env").chmod(mode)
    with pytest.raises(ConfigurationError, match="may be read by others") as failure:
        bot_credentials(credentials, "sales")
    assert CANARY not in str(failure.value)


@pytest.mark.parametrize(
    "line", ["HUBSPOT_TOKENS=x", "OPS_HOME=/tmp", "OPS_BOT=sales", "PATH=/tmp", "OPS_ENV=production"]
)
def test_only_credentials_stand_in_a_bots_file(credentials: Path, line: str) -> None:
    with (credentials / "sales.env").open("a") as file:
        file.write(line)
    with pytest.raises(ConfigurationError, match=line.partition("=")[0]):
        bot_credentials(credentials, "sales")


def test_a_broken_line_is_named_by_its_number_and_not_shown(credentials: Path) -> None:
    (credentials / "sales.env").write_text(f"# a note\n{CANARY}\n", encoding="utf-8")
    (credentials / "sales.env").chmod(0o600)
    with pytest.raises(ConfigurationError, match="line 2") as failure:
        bot_credentials(credentials, "sales")
    assert CANARY not in str(failure.value)

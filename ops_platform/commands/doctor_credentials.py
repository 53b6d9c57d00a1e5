"""What `ops doctor` says of the files that hold credentials: who may read them, whose they are, what keeps bots apart.

Belongs here: the shared file and the bots' own. Does not belong here: what a credential may do at its vendor (each
client's `probe`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ops_platform.commands.findings import Finding
from ops_platform.failures import OpsError
from ops_platform.settings import PROJECT_ROOT, Settings, bot_credentials


def credential_findings(settings: Settings, shared: Path = PROJECT_ROOT / ".env") -> list[Finding]:
    """The shared file, every bot's own, files of nobody, and whether the kernel keeps bots' runs apart."""
    return [*_shared(settings, shared), *_of_bots(settings)]


def _shared(settings: Settings, path: Path) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding("credentials", "shared", "ok", "no .env: settings come from the environment")
        return
    mode = path.stat().st_mode & 0o777
    owner = path.stat().st_uid
    # A group may read it where an administrator owns it: the service's own (deploy/install.sh).
    if mode & 0o007 or (mode & 0o070 and owner != 0):
        state = "failed" if settings.production else "warning"
        yield Finding("credentials", "shared", state, f"{path} may be read by others ({mode:03o})", f"chmod 600 {path}")
    else:
        yield Finding("credentials", "shared", "ok", f"{path} is ours alone ({mode:03o})")


def _of_bots(settings: Settings) -> Iterator[Finding]:
    from ops_platform.fleet import get_fleet
    from ops_platform.instance.confinement import available

    directory = settings.credentials_directory
    bots = set(get_fleet().bots)
    if not directory.is_dir():
        yield Finding("credentials", "bots", "ok", f"none of their own in {directory}: all use what is shared")
        return
    if directory.stat().st_mode & 0o077 or directory.stat().st_uid not in (os.geteuid(), 0):
        yield Finding("credentials", "directory", "failed", f"{directory} is open to others", f"chmod 700 {directory}")
    named = sorted(path.stem for path in directory.glob("*.env"))
    for bot in named:
        if bot not in bots:
            advice = f"rename it to one of {', '.join(sorted(bots))}, or remove it"
            yield Finding("credentials", bot, "warning", f"{bot}.env belongs to no bot of fleet.yaml", advice)
            continue
        try:
            own = bot_credentials(directory, bot)
        except OpsError as error:
            yield Finding("credentials", bot, "failed", str(error), "its runs do not start until then")
        else:
            names = ", ".join(sorted(name.upper() for name in own)) or "nothing"
            yield Finding("credentials", bot, "ok", f"its own: {names}")
    if not named:
        return
    if available():
        yield Finding("credentials", "kept apart", "ok", "a run reads its own bot's file and no other (Landlock)")
    else:
        advice = "Linux 5.13 or later with Landlock; until then give a bot's vendor account only what may leak"
        said = "this kernel cannot keep one bot's run from another's file"
        yield Finding("credentials", "kept apart", "warning", said, advice)

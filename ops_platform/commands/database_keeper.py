"""The embedded server under `ops up`: started again when it falls.

Belongs here: noticing that it is gone and starting it, with pauses that grow. Does not belong here: the server's life
(`ops_platform.database.server`), an external server (its own administrator's), the unit of systemd (systemd's).

The other services are the supervisor's children and are seen to end; the server is nobody's child.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from ops_platform.failures import ConfigurationError
from ops_platform.settings import Settings

EVERY_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 60.0


class DatabaseKeeper:
    """Looks after the embedded server of this home; with an external one it does nothing."""

    def __init__(self, settings: Settings) -> None:
        self._home: Path | None = settings.ops_home if settings.ops_database_url is None else None
        self._next, self._pause, self.stands = 0.0, EVERY_SECONDS, True

    def look(self) -> bool:
        """Whether the server's process stands; starts it again where not. Never raises: what is wrong is printed, and
        tried again later."""
        if self._home is None or time.monotonic() < self._next:
            return self.stands
        from ops_platform.database.server import revive

        try:
            revived = revive(self._home)
        except (ConfigurationError, OSError) as error:
            self.stands = False
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            click.echo(f"the database cannot be started again: {error}", err=True)
        else:
            self.stands, self._pause = not revived, EVERY_SECONDS
            if revived:
                click.echo("the database had fallen and was started again", err=True)
        self._next = time.monotonic() + self._pause
        return self.stands

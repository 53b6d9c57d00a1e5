"""Talking to a person at a terminal: steps with their time, one live line, plain text in a pipe.

Belongs here: how progress and errors look. Does not belong here: what they say.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Steps:
    """Prints each step as it starts and ends. On a terminal the running step's detail is updated in place."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self._current = ""
        self._started = 0.0
        self._width = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step: its title while it runs, and how long it took when it is done."""
        self._current, self._started = title, time.monotonic()
        self._line(title)
        try:
            yield
        except BaseException:
            self._clear()
            click.secho(f"✗ {title}", fg="red", err=True)
            raise
        self._clear()
        click.echo(f"{click.style('✓', fg='green')} {title} ({time.monotonic() - self._started:.1f} s)", err=True)

    def detail(self, message: str) -> None:
        """What the running step does just now."""
        self._line(f"{self._current}: {message}")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Print lines of one's own: the live line makes room and comes back with the next detail."""
        self._clear()
        yield

    def _line(self, text: str) -> None:
        if not self.live:
            return
        columns = shutil.get_terminal_size((100, 24)).columns
        shown = f"… {text}"[: columns - 1]
        click.echo("\r" + shown.ljust(self._width), nl=False, err=True)
        self._width = len(shown)

    def _clear(self) -> None:
        if self.live:
            click.echo("\r" + " " * self._width + "\r", nl=False, err=True)
            self._width = 0

"""What runs print, kept without credentials.

Belongs here: taking them out on the way to the file. Does not belong here: what a credential is
(`ops_platform.redaction`).
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TextIO

from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
from dagster._serdes import ConfigurableClassData

LONGEST_LINE = 64 * 1024
#: A child that outlives its step may keep the pipe open; its lines are not waited for.
DRAIN_SECONDS = 5.0


class RedactingComputeLogManager(LocalComputeLogManager):
    """As Dagster's own, in the instance's home, but nothing reaches a file before credentials are taken out of it."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, **config_value)  # Dagster's own would make one of its own

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        out, err = (
            Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind]))
            for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR)
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        with redacted(sys.stdout, out), redacted(sys.stderr, err):
            yield CapturedLogContext(log_key)
        Path(self.complete_artifact_path(log_key)).touch()


@contextmanager
def redacted(stream: TextIO, file: Path) -> Iterator[None]:
    """While the block runs, what is written to `stream` (by children, too) goes line by line through redaction to
    `file` and to where it went before. A stream that is no file descriptor is left alone."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, io.UnsupportedOperation):
        file.touch()
        yield
        return
    stream.flush()
    before = os.dup(descriptor)
    reading, writing = os.pipe()
    with file.open("ab", buffering=0) as kept:
        thread = threading.Thread(target=_pass_on, args=(reading, (kept.fileno(), before)), daemon=True)
        thread.start()
        os.dup2(writing, descriptor)
        os.close(writing)
        try:
            yield
        finally:
            stream.flush()
            os.dup2(before, descriptor)
            thread.join(DRAIN_SECONDS)
            if not thread.is_alive():
                os.close(before)


def _pass_on(reading: int, sinks: tuple[int, ...]) -> None:
    from ops_platform.redaction import redact

    with os.fdopen(reading, "rb") as lines:
        while line := lines.readline(LONGEST_LINE):
            clean = redact(line.decode("utf-8", "replace")).encode()
            for sink in sinks:
                try:
                    os.write(sink, clean)
                except OSError:  # a full disk, or the terminal is gone: the run goes on
                    continue

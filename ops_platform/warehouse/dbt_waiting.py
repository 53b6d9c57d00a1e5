"""The dbt that waits until it is asked for, run as a process:

    python -m ops_platform.warehouse.dbt_waiting DESCRIPTOR PARENT

Belongs here: what it makes ready. Does not belong here: how it is asked (`dbt_ahead.py`), how dbt is run
(`dbt_process.py`)."""

from __future__ import annotations

import os
import socket
import sys
from typing import NoReturn

from ops_platform.failures import ConfigurationError
from ops_platform.warehouse.dbt import project_digest
from ops_platform.warehouse.dbt_ahead import Work, serve
from ops_platform.warehouse.dbt_process import read_project, work


def main(descriptor: str, parent: str) -> NoReturn:
    """Make dbt ready and wait at the listening socket of number `descriptor`, as long as the process `parent` lives."""
    listener = socket.socket(fileno=int(descriptor))
    digest = project_digest()
    try:
        manifest = read_project()
    except ConfigurationError:
        os._exit(1)  # who builds finds out, and says so

    def ready() -> Work | None:
        return (lambda words: work(words, manifest)) if project_digest() == digest else None

    serve(listener, int(parent), ready)


if __name__ == "__main__":
    main(*sys.argv[1:])

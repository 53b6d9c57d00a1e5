"""A process that runs a playbook and may be killed at a named point, or the next one that takes it up.

Belongs here: one life. Does not belong here: what must be true afterwards (`test_kill.py`).
"""

from __future__ import annotations

import os
from typing import Any


def life(dsn: str, key: str, text: str, failpoint: str | None) -> None:
    """Run the playbook of `text` under `key`; a process that comes after a killed one does the same again."""
    import psycopg

    from ops_platform.playbooks.checks import plan_of
    from ops_platform.playbooks.engine import Machine, run
    from tests.playbooks.shop import NOW, ZONE, house

    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint

    def connect() -> Any:
        return psycopg.connect(dsn, options="-c timezone=UTC")

    it = house()
    run(Machine(connect, it, ZONE), plan_of(text, "demo.yaml", it), key=key, as_of=NOW)

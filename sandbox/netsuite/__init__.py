"""NetSuite's SuiteTalk REST as the sandbox speaks it: OAuth 2.0, SuiteQL, records.

Belongs here: the ERP's protocol, its tables, and how the company's trade looks in its books. Does not belong
here: what happened in the company (`sandbox/company`).
"""

from __future__ import annotations

from typing import Any

from sandbox.clock import SandboxClock
from sandbox.netsuite.side import SEMANTIC_FAULTS, NetSuiteSide
from sandbox.options import Options
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "NetSuiteSide"]


def _prepare(options: Options, clock: SandboxClock) -> Any:
    # A new RSA key can take as long as the company; OpenSSL lets both go on at once.
    from concurrent.futures import ThreadPoolExecutor

    from sandbox.netsuite.tokens import Tokens

    pool = ThreadPoolExecutor(1, thread_name_prefix="later")
    made = pool.submit(Tokens, options.state, clock, options.netsuite_key)
    pool.shutdown(wait=False)
    return made


def _mount(around: Surroundings) -> NetSuiteSide:
    return NetSuiteSide(
        around.company,
        clock=around.clock,
        ledger=around.ledger,
        faults=around.faults,
        tokens=around.prepared.result(),
        profile=around.options.profile,
    )


SIDE = VendorSide(_mount, ("/services/",), SEMANTIC_FAULTS, _prepare)

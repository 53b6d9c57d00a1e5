"""GitHub's REST API as the sandbox speaks it: issues, pull requests, comments, labels, branches and files, webhooks.

Belongs here: protocol and state. Does not belong here: what the company tracks (`sandbox/company/issues.py`).
"""

from __future__ import annotations

from sandbox.github.side import SEMANTIC_FAULTS, GitHubSide
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "GitHubSide"]


def _mount(around: Surroundings) -> GitHubSide:
    return GitHubSide(
        around.company, clock=around.clock, faults=around.faults, profile=around.options.profile, ledger=around.ledger
    )


_PREFIXES = ("/repos/", "/repositories/", "/search/issues", "/rate_limit", "/versions", "/user")
SIDE = VendorSide(_mount, _PREFIXES, SEMANTIC_FAULTS)

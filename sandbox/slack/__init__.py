"""Slack's Web API as the sandbox speaks it.

Belongs here: methods, workspace, Block Kit limits, rate tiers. Does not belong here: what the company said
in its channels (`sandbox/company`).
"""

from __future__ import annotations

from sandbox.slack.side import SEMANTIC_FAULTS, SlackSide
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "SlackSide"]


def _mount(around: Surroundings) -> SlackSide:
    return SlackSide(
        around.company,
        clock=around.clock,
        ledger=around.ledger,
        faults=around.faults,
        directory=around.directory("slack_files"),
        profile=around.options.profile,
    )


SIDE = VendorSide(_mount, ("/api/", "/upload/", "/actions/", "/link/"), SEMANTIC_FAULTS)

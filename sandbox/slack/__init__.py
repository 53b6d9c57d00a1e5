"""Slack's Web API as the sandbox speaks it.

Belongs here: methods, workspace, Block Kit limits, rate tiers. Does not belong here: what the company said
in its channels (`sandbox/company`).
"""

from __future__ import annotations

from sandbox.slack.side import SlackSide

__all__ = ["SlackSide"]

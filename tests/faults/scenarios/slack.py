"""Slack: messages with their threads, and the channels. Deleted messages do not show to a reader and stay.

Belongs here: what was said and how it changes. Does not belong here: when a sync is killed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from resources.slack import DEFAULT_PREFIXES, HISTORY_DAYS
from sandbox.company.model import slack_ts
from tests.connectors.conftest import NOW
from tests.faults.scenarios import Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from sandbox.server import Sandbox

# The first sync of the suite is at NOW; what is older than its window never comes.
_OLDEST = slack_ts(NOW - timedelta(days=HISTORY_DAYS))


def census(sandbox: Sandbox, stream: str) -> Held:
    workspace = sandbox.sides["slack"].workspace  # type: ignore[attr-defined]
    channels = {key: item for key, item in workspace.channels.items() if item["name"].startswith(DEFAULT_PREFIXES)}
    if stream == "channels":
        return {key: (item["name"],) for key, item in channels.items()}
    held: Held = {}
    for channel, item in channels.items():
        if not item["is_member"]:
            continue
        for ts in workspace.history(channel, _OLDEST, "", False):
            for each in (ts, *workspace.thread(channel, ts)):
                message = workspace.get(channel, each)
                held[f"{channel}:{each}"] = (message["text"], message.get("edited", {}).get("ts"))
    return held


def change(meanwhile: Meanwhile) -> None:
    workspace, draw, step = meanwhile.sandbox.sides["slack"].workspace, meanwhile.draw, meanwhile.step  # type: ignore[attr-defined]
    channel = draw.choice(sorted(
        key for key, item in workspace.channels.items() if item["name"].startswith("factory-") and item["is_member"]
    ))  # fmt: skip
    user = sorted(workspace.users)[0]
    said = meanwhile.mutate("slack", "add_message", channel=channel, user=user, text=f"Carton count {step} <!channel>")
    # Late replies may come to any thread, edits to what is read again.
    recent = slack_ts(meanwhile.sandbox.clock.now() - timedelta(days=HISTORY_DAYS - 3))
    top = workspace.history(channel, recent, "", False)
    meanwhile.mutate("slack", "add_message", channel=channel, user=user, text=f"{step}!", thread_ts=draw.choice(top))
    target = draw.choice([*top, said["ts"]])
    meanwhile.mutate("slack", "edit_message", channel=channel, ts=target, text=f"edited {step} 工厂")


SCENARIO = Scenario(
    "slack",
    ("messages", "channels"),
    census,
    {"messages": "payload->>'text', payload#>>'{edited,ts}'", "channels": "payload->>'name'"},
    change,
    begins_whole=False,
    unreached={"sync.sweep_read": "Slack has no list of ids to sweep by", "sync.mid_sweep": "no sweep",
               "sync.after_sweep": "no sweep", "sync.mid_tie_out": "Slack counts nothing for its readers"},
    page_faults=("repeat_page", "empty_page"),
)  # fmt: skip

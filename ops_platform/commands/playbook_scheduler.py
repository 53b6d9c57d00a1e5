"""`ops playbook scheduler-jobs`: a script that has a cloud's scheduler start the playbooks, in place of Dagster's.

Belongs here: one job a playbook with a schedule and `triggers.http`, in company time. Does not belong here: answering
its requests (`trigger.py`).

The script makes what is not there and changes what is: run again, it leaves the same jobs. The secret is read where the
script runs and stands in no file.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from ops_platform.playbooks.model import Playbook

_HEAD = """\
#!/bin/sh
# Has Google Cloud Scheduler start the playbooks: a job each, in company time. Run again after a change.
# PROJECT and LOCATION say where; the secret is that of CRON_SECRET on the machine of the platform.
set -eu
: "${PROJECT:?the project}" "${LOCATION:?the region}"
: "${CRON_SECRET:=$(gcloud secrets versions access latest --secret=CRON_SECRET --project="$PROJECT")}"

job() { # name, cron, playbook, seconds
    verb=create headers=--headers
    if gcloud scheduler jobs describe "$1" --project="$PROJECT" --location="$LOCATION" >/dev/null 2>&1; then
        verb=update headers=--update-headers
    fi
    gcloud scheduler jobs "$verb" http "$1" --project="$PROJECT" --location="$LOCATION" \\
        --schedule="$2" --time-zone=@ZONE@ --http-method=POST \\
        --uri=@URL@"/playbook-runner?playbookId=$3" "$headers=Authorization=Bearer $CRON_SECRET" \\
        --attempt-deadline="$4s" --max-retry-attempts=3
}

"""
# The longest that Cloud Scheduler waits for an answer.
MOST_SECONDS = 1800


def scheduler_jobs(url: str) -> int:
    """Print the script for the company's playbooks."""
    from ops_platform.commands.playbook import its_catalogue
    from ops_platform.fleet import get_fleet

    plans = its_catalogue().plans
    playbooks = [plan.playbook for _, plan in sorted(plans.items())]
    click.echo(script(playbooks, url, get_fleet().company.timezone), nl=False)
    return 0


def script(playbooks: Iterable[Playbook], url: str, zone: str) -> str:
    """The script. Raises `DataFailure` for an address that a scheduler cannot call."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise DataFailure(f"{url!r} is not an address of the kind https://ops.example: a secret goes there")
    text = _HEAD.replace("@ZONE@", shlex.quote(zone)).replace("@URL@", shlex.quote(url.rstrip("/")))
    for playbook in playbooks:
        schedule, name = playbook.triggers.schedule, playbook.id.replace("_", "-")
        if schedule is None:
            text += f"# {playbook.id} has no schedule.\n"
        elif not playbook.triggers.http or not playbook.enabled:
            text += f"# {playbook.id} is not started by HTTP: it is disabled, or triggers.http is not true.\n"
        else:
            seconds = min(playbook.timeout_minutes * 60, MOST_SECONDS)
            text += f"job {name} {shlex.quote(schedule)} {playbook.id} {seconds}\n"
    return text

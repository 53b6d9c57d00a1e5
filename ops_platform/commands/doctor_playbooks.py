"""What `ops doctor` says of playbooks: their files, their store, whom they tell, who may start them by HTTP.

Belongs here: findings before anything runs. Does not belong here: how runs went (`ops playbook stats`, `history`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.commands.findings import Finding
from ops_platform.failures import DataFailure, OpsError

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.playbooks.catalogue import Catalogue
    from ops_platform.settings import Settings


def playbook_findings(settings: Settings) -> list[Finding]:
    """Of the company's own playbooks and database."""
    from ops_platform.commands.playbook import its_catalogue
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    found = its_catalogue()
    return [
        *file_findings(found),
        store_finding(found, connect),
        *addressee_findings(found, get_fleet()),
        trigger_finding(settings),
    ]


def file_findings(found: Catalogue) -> list[Finding]:
    wrong = [
        Finding("playbooks", name, "failed", f"{problems[0]}: it does not run", "`ops playbook validate` says all")
        for name, problems in found.broken.items()
    ]
    return wrong or [Finding("playbooks", "files", "ok", f"{len(found.plans)} are right")]


def store_finding(found: Catalogue, connect: Callable[[], psycopg.Connection[Any]]) -> Finding:
    """An execution is written as a run would write it, and taken back."""
    import psycopg

    from ops_platform.playbooks.engine import open_new

    for plan in found.plans.values():
        given = {
            name: _some(variable.type) for name, variable in plan.playbook.variables.items() if variable.default is None
        }
        try:
            with connect() as connection:
                open_new(
                    connection, plan, kind="dry_run", key=f"doctor:{uuid.uuid4()}", as_of=clock.now(), given=given
                )  # fmt: skip
                connection.rollback()
        except DataFailure:  # this playbook does not run, which is told where it is listed; the store may be well
            continue
        except (OpsError, psycopg.Error) as error:
            said = " ".join(str(error).split())[:300]
            advice = "runs would fail: see the rights of the role in OPS_DATABASE_URL, and the disk"
            return Finding("playbooks", "store", "failed", f"an execution cannot be written: {said}", advice)
        return Finding("playbooks", "store", "ok", "an execution can be written")
    return Finding("playbooks", "store", "ok", "there is no playbook that would write to it")


def _some(kind: str) -> Any:
    return {"text": "", "integer": 0, "number": 0, "boolean": False, "list": []}[kind]


def addressee_findings(found: Catalogue, fleet: Fleet) -> list[Finding]:
    from ops_platform.playbooks.addressees import unknown_addressees

    return [
        Finding(
            "playbooks", playbook_id, "warning", wrong,
            "name them in fleet.yaml, or change the variable and the version in the playbook's file",
        )
        for playbook_id, plan in sorted(found.plans.items())
        for wrong in unknown_addressees(plan.playbook, fleet)
    ]  # fmt: skip


def trigger_finding(settings: Settings) -> Finding:
    if settings.cron_secret is None:
        detail = "no CRON_SECRET: nobody starts them by HTTP, Dagster's schedules do"
        return Finding("playbooks", "triggers", "not connected", detail, "see docs/playbooks.md")
    detail = f"started by HTTP on port {settings.ops_trigger_port} while `ops up` or `ops listen` runs"
    return Finding("playbooks", "triggers", "ok", detail)

"""Playbooks as a Dagster component: a folder of files becomes jobs, schedules and sensors.

Belongs here: the component, and what `dg scaffold` writes for a new playbook. Does not belong here: any part of what it
assembles.

`dg list components` shows it (pyproject.toml names this module), `dg scaffold defs sensors.components.PlaybookFolder
NAME` writes a folder with a first playbook. The company's own playbooks are one such folder, loaded by `build.py`.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dagster import Component, ComponentLoadContext, Definitions, Model, Resolvable
from dagster.components import Scaffolder, ScaffoldRequest, scaffold_with
from pydantic import Field

from jobs.playbooks import playbook_jobs
from ops_platform.playbooks.catalogue import Catalogue, catalogue
from ops_platform.playbooks.checks import House
from ops_platform.settings import PROJECT_ROOT, Environment
from sensors.playbooks import playbook_events_sensor, playbook_resume_sensor, playbook_schedules

log = logging.getLogger(__name__)

_FIRST = """\
# yaml-language-server: $schema={schema}
# Steps in the order in which they need each other. `ops playbook validate {name}` says what is wrong, with line and
# column; docs/playbooks.md explains every field.
id: {name}
name: {title}
version: 1
description: What it is for, in a sentence.
owner: operations_lead
triggers:
  schedule: "0 9 * * 1-5"      # company time
enabled: false                 # until it was rehearsed: ops playbook dry-run {name} --since 7d
variables:
  day: {{type: text, default: today, description: Whatever a starter may change.}}
steps:
  - id: worth_it
    type: condition
    if: vars.day != ''
  - id: told
    type: notify
    when: worth_it
    to: [{{dashboard: true}}]
    severity: low
    title: "{title} ran for ${{{{ run.date }}}}"
    text: "Started by ${{{{ run.playbook }}}}."
"""


class PlaybookScaffolder(Scaffolder[Any]):
    """Writes a folder with one playbook that is valid as it stands."""

    def scaffold(self, request: ScaffoldRequest[Any]) -> None:
        folder = Path(request.target_path)
        folder.mkdir(parents=True, exist_ok=True)
        name = "".join(letter if letter.isalnum() else "_" for letter in folder.name.lower()).strip("_") or "playbook"
        (folder / "defs.yaml").write_text(f"type: {request.type_name}\nattributes:\n  folder: .\n", encoding="utf-8")
        (folder / f"{name}.yaml").write_text(first_playbook(name, folder), encoding="utf-8")


def first_playbook(name: str, folder: Path) -> str:
    """The text of a playbook to begin with, for a file in `folder`."""
    schema = os.path.relpath(PROJECT_ROOT / "docs" / "schema" / "playbook.schema.json", folder)
    return _FIRST.format(name=name, title=name.replace("_", " ").capitalize(), schema=schema)


@scaffold_with(PlaybookScaffolder)
class PlaybookFolder(Component, Resolvable, Model):
    """Every playbook of a folder as a job with a graph of its steps, its schedule in company time, and the sensors that
    start it on events and take it up after a kill."""

    folder: str = Field(default=".", description="Where the files are, seen from the component's own folder.")

    def build_defs(self, context: ComponentLoadContext) -> Definitions:
        from jobs.toolbox import house
        from ops_platform.fleet import get_fleet
        from ops_platform.settings import get_settings

        made = catalogue(house(), Path(context.path) / self.folder)
        return playbook_definitions(made, house, get_fleet().company.timezone, get_settings().ops_env)


def playbook_definitions(
    playbooks: Catalogue, house: Callable[[], House], zone: str, environment: Environment
) -> Definitions:
    """Jobs, schedules and sensors of these playbooks. A file that is wrong is told in the log and by `ops playbook
    list`, and keeps nothing else from running."""
    for name, problems in playbooks.broken.items():
        log.error("the playbook %s is left out: %s", name, "; ".join(map(str, problems)))
    plans: Mapping[str, Any] = playbooks.plans
    jobs = playbook_jobs(plans, house)
    sensors = (
        [playbook_events_sensor(plans, jobs, environment), playbook_resume_sensor(jobs, environment)] if jobs else []
    )
    return Definitions(jobs=jobs, schedules=playbook_schedules(plans, jobs, zone, environment), sensors=sensors)

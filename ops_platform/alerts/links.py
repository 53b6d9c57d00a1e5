"""Where a reader finds more of an incident: an address that opens today, or none.

Belongs here: which page shows a subject. Does not belong here: the button (`ops_platform.documents.alert`), the pages.

With a console (`OPS_CONSOLE_URL`) that is the alert's own page. Else, where people reach the Dagster UI
(`OPS_DAGSTER_URL`), it is the page of the asset that made the number, the stream, or the job. With neither there is no
link: an address of this machine would be dead on every telephone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from ops_platform.alerts.signal import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops_platform.alerts.announcement import Announcement
    from ops_platform.fleet import Fleet
    from ops_platform.settings import Settings

#: As `workspace.yaml` names it.
LOCATION = "ops_platform"
# Subjects of the platform's own that are no job of the fleet, by the asset that shows them.
_OWN = {
    "watch_judgements": "watch/judgements", "watch_level_shifts": "watch/level_shifts",
    "look_at_metrics": "alerts/cycle", "look_at_rules": "alerts/cycle",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Links:
    """`rules` is the table that each rule reads, as `marts.fct_inventory_position`; `jobs` those of the fleet."""

    console: str | None = None
    dagster: str | None = None
    rules: Mapping[str, str] = field(default_factory=dict)
    jobs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings, fleet: Fleet) -> Links:
        rules = {
            name: rule.view if rule.view is not None else f"metrics.{rule.metric}"
            for name, rule in fleet.alert_rules.items()
        }
        return cls(settings.ops_console_url, settings.ops_dagster_url, rules, frozenset(fleet.jobs))

    def __call__(self, announcement: Announcement) -> str:
        """The address for an announcement of one incident; empty where there is none."""
        if len(announcement.incidents) != 1:
            return ""
        incident = announcement.incident
        if self.console:
            return f"{self.console.rstrip('/')}/alerts/{incident.id}"
        page = self.page(incident.head) if self.dagster else ""
        return f"{(self.dagster or '').rstrip('/')}/{page}" if page else ""

    def page(self, head: str) -> str:
        """The page of the Dagster UI for a subject, by its key; empty where none shows it."""
        kind, name, dimension, value = [*head.split(":", 3), "", "", ""][:4]
        if kind == SubjectKind.METRIC:
            return f"assets/metrics/{_part(name)}"
        if kind == SubjectKind.THRESHOLD:
            schema, _, table = self.rules.get(name, "").partition(".")
            return f"assets/{_part(schema)}/{_part(table)}" if table else ""
        if kind in (SubjectKind.SOURCE, SubjectKind.TIE_OUT):
            vendor, _, stream = name.partition(".")
            checks = "?view=checks" if kind == SubjectKind.TIE_OUT else ""
            return f"assets/raw/{_part(vendor)}/{_part(stream)}{checks}" if stream else ""
        if name in _OWN:
            return f"assets/{_OWN[name]}"
        if name in self.jobs:
            return f"locations/{LOCATION}/jobs/{_part(name)}"
        # A layer that is out of date: dbt's models are several groups.
        if dimension == "layer" and value not in ("", "warehouse"):
            return f"locations/{LOCATION}/asset-groups/{_part(value)}"
        return "assets" if dimension == "layer" else ""


def _part(text: str) -> str:
    return quote(text, safe="")

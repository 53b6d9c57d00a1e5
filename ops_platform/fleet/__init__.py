"""The fleet: bots, divisions, jobs, channels, budgets and thresholds, as `fleet.yaml` declares them.

Belongs here: the model of that file and its publication to the warehouse. Does not belong here: what a
job does (`assets/`), when it is allowed to run unattended (`sensors/`).
"""

from ops_platform.fleet.model import Bot, Company, Division, Fleet, Job, get_fleet, load_fleet, reset_fleet

__all__ = ["Bot", "Company", "Division", "Fleet", "Job", "get_fleet", "load_fleet", "reset_fleet"]

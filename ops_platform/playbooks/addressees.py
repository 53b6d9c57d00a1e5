"""Whom a playbook tells and asks where nobody says otherwise, held against the company's lists and people.

Belongs here: the values that variables have by themselves, where they name somebody. Does not belong here: names that
stand in a step itself (its runner refuses those when the file is loaded), sending.

Nothing of this keeps a playbook from running: a monitor whose incident has no owner still tells of the outage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ops_platform.fleet import Fleet
    from ops_platform.playbooks.model import Playbook

_VARIABLE = re.compile(r"\$\{\{\s*vars\.([a-z][a-z0-9_]*)\s*\}\}")


def unknown_addressees(playbook: Playbook, fleet: Fleet) -> list[str]:
    """What is wrong, a sentence each: a list that fleet.yaml does not have or that is empty, a person it does not
    know."""
    found: list[str] = []
    for step in playbook.steps:
        if step.type == "notify":
            for target in step.to:
                for where, value in _values(playbook, target.email):
                    wrong = _of_list(str(value), fleet)
                    found += [f"{step.id}: {where}{wrong}"] if wrong else []
        elif step.type == "create_thread":
            for where, value in _values(playbook, step.assignee):
                if value not in fleet.approvals.people:
                    found.append(f"{step.id}: {where}there is no {value!r} under approvals.people")
    return list(dict.fromkeys(found))


def _of_list(name: str, fleet: Fleet) -> str:
    from ops_platform.playbooks.runners.notify import is_address

    if name not in fleet.delivery.lists:
        return "" if is_address(name) else f"{name!r} is neither an address nor a list of fleet.yaml"
    return "" if fleet.delivery.lists[name] else f"the list {name!r} of fleet.yaml has no address"


def _values(playbook: Playbook, given: Any) -> Iterator[tuple[str, Any]]:
    """Every value `given` can have before anybody gives one, and where it stands."""
    for text in [given] if isinstance(given, str) else given or []:
        whole = _VARIABLE.fullmatch(text.strip())
        if whole is None:
            if "${{" not in text:
                yield "", text
            continue
        variable = playbook.variables[whole[1]]
        arms = playbook.experiment.arms.values() if playbook.experiment is not None else ()
        values = [variable.default, *variable.choices, *(arm.variables.get(whole[1]) for arm in arms)]
        for value in values:
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    yield f"variable {whole[1]}: ", one

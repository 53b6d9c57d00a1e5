"""The playbooks there are: the files of a folder, each read by itself.

Belongs here: finding and checking files. Does not belong here: what a file says (`source.py`, `checks.py`).

A file that is wrong stops nobody else: it is listed with what is wrong with it, and everything else runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops_platform.failures import ConfigurationError, DataFailure, OpsError
from ops_platform.playbooks.checks import House, checked
from ops_platform.playbooks.plan import Plan
from ops_platform.playbooks.source import MOST_BYTES, InvalidPlaybookError, Problem, read
from ops_platform.settings import PROJECT_ROOT, get_settings


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The playbooks by id, and of each file that is wrong what is wrong with it."""

    plans: Mapping[str, Plan] = field(default_factory=dict)
    broken: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)

    def get(self, playbook_id: str) -> Plan:
        """Raises `DataFailure` for one that is not there, `ConfigurationError` for one whose file is wrong."""
        found = self.plans.get(playbook_id)
        if found is not None:
            return found
        for name, problems in self.broken.items():
            if Path(name).stem == playbook_id:
                raise ConfigurationError(f"{name}: " + "; ".join(map(str, problems)))
        raise DataFailure(f"there is no playbook {playbook_id!r}; there are {', '.join(sorted(self.plans)) or 'none'}")


def its_folder() -> Path:
    """Where the company's playbooks are."""
    return get_settings().ops_playbooks or PROJECT_ROOT / "playbooks"


def catalogue(house: House, folder: Path | None = None) -> Catalogue:
    """Every playbook of `folder`, by default the company's, checked."""
    folder = its_folder() if folder is None else folder
    plans: dict[str, Plan] = {}
    broken: dict[str, tuple[Problem, ...]] = {}
    for path in files_of(folder):
        try:
            plan = plan_of_file(path, house)
            other = plans.get(plan.playbook.id)
            if other is not None:
                raise InvalidPlaybookError(
                    path.name, [plan.source.at(("id",), "id", f"{other.source.name} has this id too")]
                )
            plans[plan.playbook.id] = plan
        except InvalidPlaybookError as error:
            broken[str(path.relative_to(folder))] = tuple(error.problems)
        except Exception as error:  # whatever it is, it is this file's
            said = str(error) if isinstance(error, OpsError) else f"it cannot be read: {type(error).__name__}: {error}"
            broken[str(path.relative_to(folder))] = (Problem(1, 1, "", said[:500]),)
    return Catalogue(plans, broken)


def files_of(folder: Path) -> list[Path]:
    """The playbook files of a folder and of the folders in it; `defs.yaml` in those is Dagster's."""
    found = [path for pattern in ("*.yaml", "*.yml", "*/*.yaml", "*/*.yml") for path in folder.glob(pattern)]
    return sorted(path for path in found if path.stem != "defs")


def plan_of_file(path: Path, house: House) -> Plan:
    """The plan of one file. Raises `InvalidPlaybookError`; `ConfigurationError` where it cannot be opened."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise ConfigurationError(f"{path} is no file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        # One that is too large is cut, perhaps within a character; it is refused for its size.
        text = content.decode("utf-8", errors="replace" if len(content) > MOST_BYTES else "strict")
    except UnicodeDecodeError:
        raise InvalidPlaybookError(path.name, [Problem(1, 1, "", "this is not a text in UTF-8")]) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    plan = checked(read(text, path.name), house)
    if plan.playbook.id != path.stem and its_folder() in path.parents:
        wrong = plan.source.at(("id",), "id", f"the file of this playbook is called {plan.playbook.id}.yaml")
        raise InvalidPlaybookError(path.name, [wrong])
    return plan

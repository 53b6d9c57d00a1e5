"""What every entry of `fleet.yaml` and of the files beside it has in common.

Belongs here: the strict base of an entry, exact numbers, reading a file of entries and saying what is wrong with it.
Does not belong here: any one entry (`model.py`, `alert_rules.py`, `work_orders.policy`).
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ops_platform.failures import ConfigurationError
from ops_platform.yaml_text import read_text


def exact(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


# YAML reads 0.20 as a binary float; money and rates must not pass through one.
Exact = Annotated[Decimal, BeforeValidator(exact)]


class Entry(BaseModel):
    """A part of the file: nothing unknown in it, nothing changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_yaml(path: Path, name: str, remedy: str = "restore it") -> Any:
    """What the file holds. Raises `ConfigurationError` that calls it `name`, with `remedy` where it is not there."""
    try:
        return read_text(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{name} does not exist: {remedy}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name} is not YAML: {error}") from None


def wrong_entries(name: str, error: ValidationError) -> ConfigurationError:
    """The failure that names the file, each wrong entry and what is wrong with it."""
    problems = "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    )
    return ConfigurationError(f"{name}: {problems}")

"""`ops work labels`: the labels of work orders, put into the repository.

Belongs here: what is printed. Does not belong here: which labels there are (`work_orders.label_catalogue`).
"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ops_platform.failures import ConfigurationError
from ops_platform.settings import get_settings


def labels(repository: str | None, *, look: bool, as_json: bool) -> int:
    """Make the labels that are missing, or with `look` only name them. What is there keeps its colour and words."""
    from ops_platform.work_orders.label_catalogue import catalogue, missing, put
    from ops_platform.work_orders.policy import get_work_policy
    from resources.github import writing

    settings = get_settings()
    name = repository or settings.github_repository
    writer = writing.connect(settings)
    if writer is None or not name:
        raise ConfigurationError("labels are put into GITHUB_REPOSITORY by GITHUB_WRITE_TOKEN: set both")
    wanted = catalogue(get_work_policy())
    try:
        found = missing(wanted, writer.labels(name)) if look else put(wanted, name, writer)
    finally:
        writer.close()
    if as_json:
        click.echo(json.dumps({"repository": name, "made": not look, "labels": [asdict(each) for each in found]}))
        return 0
    for each in found:
        click.echo(f"{'missing' if look else 'made'}  {each.name}  {each.description}")
    click.echo(f"{name}: {len(wanted) - len(found)} of {len(wanted)} labels were there")
    return 0

"""A code location of one job, for the web under test."""

from dagster import Definitions, job, op


@op
def sell() -> None:
    """Nothing: that it ran is what counts."""


@job
def shop() -> None:
    sell()


defs = Definitions(jobs=[shop])

"""Jobs of two bots that leak, die or do well, as a code location of its own for the launcher's tests."""

import logging
import os
import signal
import sys
from pathlib import Path

from dagster import AssetObservation, Definitions, OpExecutionContext, in_process_executor, job, op


def _secrets() -> list[str]:
    from ops_platform.redaction import secrets_in
    from ops_platform.settings import get_settings

    return sorted(secrets_in(get_settings()))


@op
def leak(context: OpExecutionContext) -> None:
    """Writes every credential it can get hold of wherever a step may write."""
    for secret in _secrets():
        context.log.info(f"logged by Dagster: {secret}")
        logging.getLogger("some.library").warning("logged by a library: %s", secret)
        print(f"printed: {secret}")
        print(f"printed: {secret}", file=sys.stderr)
        context.log_event(AssetObservation("leak", metadata={f"key {secret}": secret, "text": f"see {secret}"}))
        context.log.error("with a trace", exc_info=ValueError(secret))
    raise RuntimeError("failed with " + " ".join(_secrets()))


@op
def tell(context: OpExecutionContext) -> None:
    from ops_platform.settings import get_settings

    settings = get_settings()
    Path(os.environ["TOLD"]).write_text(
        f"{settings.ops_bot} {settings.hubspot_token.get_secret_value() if settings.hubspot_token else None}"
    )


@op
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@job(executor_def=in_process_executor, tags={"bot": "sales", "job": "leaking"})
def leaking() -> None:
    leak()


@job(executor_def=in_process_executor, tags={"bot": "sales", "job": "telling"})
def telling() -> None:
    tell()


@job(executor_def=in_process_executor, tags={"bot": "marketing", "job": "dying"})
def dying() -> None:
    die()


defs = Definitions(jobs=[leaking, telling, dying])

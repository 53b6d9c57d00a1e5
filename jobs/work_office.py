"""The office of this company: work orders with its settings, its policy, its GitHub, its models.

Belongs here: putting the parts together, the same for a run, a coordinator and a terminal. Does not belong here: any of
them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.settings import get_settings

if TYPE_CHECKING:
    import psycopg

    from ops_platform.settings import Settings
    from ops_platform.work_orders.agents.model import Answer
    from ops_platform.work_orders.model import Received, WorkOrder
    from ops_platform.work_orders.office import Intake, Office

log = logging.getLogger(__name__)
DELIVER_SECONDS = 20.0


def company_office(tell: Callable[[str], None] | None = None) -> Office:
    """The office. `tell` is given lines about what happens. Without GITHUB_WRITE_TOKEN it has no writing side."""
    from dataclasses import replace

    from resources.github.writing import connect as writing

    settings, log_line = get_settings(), tell or log.info
    return replace(
        answering_office(log_line), github=writing(settings), intake=intake_of(settings),
        apart=partial(answering_apart, log_line),
    )  # fmt: skip


def answering_office(tell: Callable[[str], None]) -> Office:
    """The office as an agent's own process has it: no GitHub at all, answers made in it."""
    from ops_platform.approvals.assembly import inbox_of
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.work_orders.office import Office
    from ops_platform.work_orders.policy import get_work_policy
    from resources.slack_posting import channel_id

    settings, fleet = get_settings(), get_fleet()
    channels = None if settings.slack_bot_token is None else partial(channel_id, settings)
    return Office(
        connect=partial(connect, application="work orders"),
        policy=get_work_policy(),
        fleet=fleet,
        inbox=inbox_of(fleet, channels),
        github=None,
        answering=answering,
        now=clock.now,
        log=tell,
    )


def intake_of(settings: Settings) -> Intake | None:
    """Deliveries of the webhook, then the poll; None where no repository has work orders."""
    from resources.github.issues import connect as reading

    connected = reading(settings)
    if connected is None:
        return None
    reader, repositories = connected

    def taken(whole: bool) -> tuple[list[Received], list[str]]:
        from ops_platform.database import connect
        from ops_platform.work_orders.intake import poll, take_deliveries
        from ops_platform.work_orders.policy import get_work_policy

        opened, policy = partial(connect, application="work orders"), get_work_policy()
        received = take_deliveries(opened, policy, reader, repositories)
        problems = []
        for polled in poll(opened, policy, reader, repositories) if whole else ():
            received += polled.received
            problems += [f"{polled.repository}: {polled.error}"] if polled.error else []
        return received, problems

    return taken


def answering(work: WorkOrder, connection: psycopg.Connection[Any]) -> Answer:
    """Have the order's agent answer, with the model that is connected, else by rules."""
    from jobs.toolbox import model
    from ops_platform.work_orders.agents import answer, find

    connected, why_not = model()
    return answer(work, find(work.agent), connection, connected, why_not=why_not)


def answering_apart(tell: Callable[[str], None], work: WorkOrder, holder: str) -> None:
    """Have the answer made and staged in a process without any vendor's token. What it may need to know of GitHub is
    looked up here before."""
    from ops_platform.work_orders.agents import find
    from ops_platform.work_orders.apart import answer_apart

    if "checks" in find(work.agent).scope.readings:
        _look_at_checks(work)
    answer_apart(work.id, holder, get_settings(), tell)


def _look_at_checks(work: WorkOrder) -> None:
    """Ask GitHub what the checks report now, for an agent that judges them. What cannot be asked is not guessed: the
    agent then has what was reported before, or says that nothing was."""
    from ops_platform.database import connect
    from ops_platform.failures import OpsError
    from ops_platform.work_orders import gates, ledger
    from ops_platform.work_orders.policy import get_work_policy
    from resources.github.issues import connect_checks

    reader = connect_checks(get_settings())
    if reader is None:
        return
    opened = partial(connect, application="work orders")
    with opened() as connection:
        branches = [
            str(row.payload["branch"]) for row in ledger.of_order(connection, work.id)
            if row.kind == "branch" and row.state == "done"
        ]  # fmt: skip
    try:
        gates.look(opened, reader, work.repository, get_work_policy(), branches=branches, work_id=work.id)
    except OpsError as error:
        log.warning("%s: its checks could not be looked at: %s", work.name, error)


def deliver(office: Office) -> None:
    """Send what was put in the outbox; what cannot be sent now, the outbox's sensor sees to."""
    from ops_platform.delivery.worker import deliver as work_outbox
    from resources.posters import posters_of

    try:
        report = work_outbox(office.connect, posters_of(get_settings(), office.connect), patience=DELIVER_SECONDS)
        office.log(str(report))
    except Exception as error:
        office.log(f"messages are sent later: {error}")

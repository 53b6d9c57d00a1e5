"""GitHub's webhooks on their way: signed by the sandbox, over HTTP, kept by the listener, taken in. Whatever is lost,
doubled, late, forged or out of order: every issue becomes one order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ops_platform.work_orders import coordinator, intake
from ops_platform.work_orders.model import Phase
from resources.github.webhook import Delivery, WebhookListener
from tests.work_orders.office_world import World

FAULTS = ("webhook_lost", "webhook_twice", "webhook_reordered", "webhook_forged", "webhook_late")


@pytest.fixture
def hooked(here: World) -> Iterator[World]:
    hooks = here.sandbox.sides["github"].webhooks

    def keep(delivery: Delivery) -> None:
        with here.connect() as connection:
            intake.keep_delivery(connection, delivery.id, delivery.event, delivery.body)
            connection.commit()

    listener = WebhookListener(keep, hooks.secret)
    listener.start()
    hooks.url = listener.url
    yield here
    hooks.url = None
    listener.stop()


def deliveries(here: World) -> list[Any]:
    return here.rows("select delivery_id from ops.work_deliveries")


def test_a_webhook_alone_starts_an_order_at_once(hooked: World) -> None:
    number = hooked.issue("Cash of the week", "finance/analysis", "priority/P0")
    assert hooked.sandbox.sides["github"].webhooks.drain() == 0
    assert len(deliveries(hooked)) == 3
    assert hooked.office.intake is not None
    # Without the poll: what webhooks brought.
    received, problems = hooked.office.intake(False)
    assert problems == [] and received
    work = hooked.order(number)
    assert (work.phase, str(work.priority)) == (Phase.QUEUED, "P0")


def test_every_issue_is_one_order_whatever_happens_to_its_webhooks(hooked: World) -> None:
    numbers = []
    for fault in FAULTS:
        hooked.sandbox.faults.arm({"vendor": "github", "fault": fault, "times": 2, "seconds": 0.1})
        numbers.append(hooked.issue(f"Under {fault}", "finance/analysis", "priority/P2"))
        hooked.sandbox.faults.disarm(None)
    hooks = hooked.sandbox.sides["github"].webhooks
    assert hooks.drain() == 0
    for sent in hooks.deliveries()[-6:]:
        hooks.redeliver(sent["guid"])
    assert hooks.drain() == 0
    kept = deliveries(hooked)
    assert len(set(kept)) == len(kept)
    statuses = [e["detail"]["status"] for e in hooked.sandbox.ledger.entries(vendor="github", kind="webhook")]
    assert 401 in statuses and 202 in statuses
    for _ in range(2):
        assert coordinator.turn(hooked.office).problems == []
        coordinator.work_off(hooked.office)
    found = {work.number: work.phase for work in hooked.orders()}
    assert found == dict.fromkeys(numbers, Phase.DONE)
    assert len(hooked.answered) == len(numbers)
    for number in numbers:
        assert sum("Cash is enough." in each["body"] for each in hooked.comments(number)) == 1

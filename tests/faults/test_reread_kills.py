"""Killed while days that do not tie out are read again: the day comes whole or not at all, and the next sync mends it.

Belongs here: the points of reading again. Does not belong here: those of the sync before it (`test_kills.py`), when a
day is read again (`tests/ingestion/test_reread.py`).
"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.faults import oracle
from tests.faults.conftest import Trial, TrialOf
from tests.faults.victim import ForkServer

# True: the day read again is committed by then.
POINTS = {"sync.reread_staged": False, "sync.mid_reread": False, "sync.after_reread": True}
# A stream of each vendor that ties out by day and has its census in the vendor's scenario.
STREAMS = {
    "netsuite": "transactions", "app": "tickets", "shopify": "orders", "hubspot": "deals",
    "airtable": "paid_media_spend", "github": "issues", "amazon": "orders",
}  # fmt: skip
ROUNDS = int(os.environ.get("OPS_KILL_TRIALS", "4")) * 3


def lose_one(trial: Trial, stream: str) -> Any:
    """Take a row of a closed day away, as if it had never landed, and forget that its day tied out; the day."""
    vendor = trial.scenario.vendor
    source = trial.source
    days = trial.connection.execute(
        "select day from ops.tie_outs where vendor = %s and stream = %s and status = 'matched' and landed_count > 0"
        " order by day",
        (vendor, stream),
    ).fetchall()
    (day,) = trial.draw.choice(days)
    query = source.landed_query(source.streams[stream])
    # Of Amazon's orders not all count; so many of a day that one of those counted is among them.
    lost = trial.connection.execute(
        f"delete from raw_{vendor}.{stream} where ({query.day_expression})::date = %s and deleted_at is null", (day,)
    )
    assert lost.rowcount
    trial.connection.execute(
        "update ops.tie_outs set status = 'unknown' where vendor = %s and stream = %s and day = %s",
        (vendor, stream, day),
    )
    return day


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("vendor", "rounds"),
    [
        ("netsuite", 1),
        ("app", 1),
        *(pytest.param(vendor, ROUNDS, marks=pytest.mark.slow) for vendor in STREAMS),
    ],
)
def test_killed_while_a_day_is_read_again(vendor: str, rounds: int, trial_of: TrialOf, fork_server: ForkServer) -> None:
    trial = trial_of(vendor)
    stream = STREAMS[vendor]
    trial.check_whole(stream, trial.sync(stream))
    for round_ in range(rounds):
        for point, committed in POINTS.items():
            if round_ % 2:
                trial.step()
                trial.check_whole(stream, trial.sync(stream))
            whole = trial.landed(stream)
            day = lose_one(trial, stream)
            short = trial.landed(stream)
            assert len(short) < len(whole)
            code, said = fork_server.run(trial.order(stream, point, sweep=False))
            if code == 0:
                # The look-back had already brought the day; there was nothing to read again.
                assert said.startswith("succeeded") and trial.landed(stream) == whole, (vendor, point, said)
                continue
            assert code == -signal.SIGKILL, (vendor, point, code, said)
            last = oracle.receipt(trial.connection, vendor, stream)
            assert last is not None and last[1] == "succeeded", "what landed before has landed"
            found = trial.landed(stream)
            assert found == (whole if committed else short) or set(short) < set(found) < set(whole), (vendor, point)
            result = trial.sync(stream, sweep=False)
            trial.check_whole(stream, result)
            assert committed or day in result.mended_days, (vendor, point, result)
            assert trial.landed(stream) == whole

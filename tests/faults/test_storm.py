"""A storm: vendors that throttle, fail, reset, cut answers short, repeat and empty pages, send HTML, and answer slowly.

What must hold: every call is repeated a bounded number of times and a refusal that will not pass is not repeated at
all (the sandbox's ledger counts); a sync ends whole or moves nothing; after the storm the next one ends whole.
By default every vendor has its bad line, and three of them the storm of everything; `make test-all` sends each vendor
through both, and through `OPS_STORM_SEEDS` more (default 10).
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from resources.vendors import VENDORS
from sandbox.sides import SIDES
from tests.faults.conftest import Trial, TrialOf
from tests.faults.scenarios import clients_of, scenario_of

SEEDS = [
    0,
    *(
        pytest.param(seed, marks=pytest.mark.slow)
        for seed in range(1, 1 + int(os.environ.get("OPS_STORM_SEEDS", "10")))
    ),
]
STORMY = ("shopify", "hubspot", "github")
# Weather that does not pass.
HOPELESS = ("http_500", "http_429", "reset", "html_200", "truncate_short")
# What a gateway or a bad line does, and passes.
TRANSIENT = (
    "http_429", "http_500", "http_502", "http_503", "http_504", "http_502_html", "html_200", "truncate",
    "truncate_short", "reset", "accept_then_drop", "slow",
)  # fmt: skip
# The most tries any retry policy of the house has (`RetryPolicy.tries` of Slack and Shopify).
MOST_TRIES = 10


def speaks_http(vendor: str) -> bool:
    """Whether the sandbox's gate stands between the client and the vendor's side (not for a database)."""
    return bool(SIDES[vendor].prefixes) if vendor in SIDES else False


HTTP_VENDORS = [vendor for vendor in VENDORS if speaks_http(vendor)]


def arm(trial: Trial, fault: str, **more: Any) -> None:
    further: dict[str, dict[str, Any]] = {"http_429": {"retry_after": 0}, "slow": {"seconds": 0.02}}
    options = further.get(fault, {})
    trial.world.fault(trial.scenario.vendor, fault, **{**options, **more})


def calm(trial: Trial) -> None:
    trial.world.control("/faults", method="DELETE")


def landed_before(trial: Trial) -> None:
    """A first load in good weather: what storms may harm."""
    for stream in trial.scenario.streams:
        trial.check_whole(stream, trial.sync(stream))


@pytest.mark.parametrize("vendor", HTTP_VENDORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_bad_line_is_overcome(vendor: str, seed: int, trial_of: TrialOf) -> None:
    """Fewer failures than tries: every sync succeeds, exactly, with one further call for each failure."""
    trial = trial_of(vendor, seed)
    landed_before(trial)
    trial.step()
    for stream in trial.scenario.streams:
        faults = trial.draw.sample(TRANSIENT, 4)
        for fault in faults:
            arm(trial, fault, after=trial.draw.randrange(3))
        mark = trial.mark()
        result = trial.sync(stream)
        trial.check_whole(stream, result)
        stormy = trial.requests(mark)
        hits = sum(1 for entry in stormy if entry["fault"])
        calm(trial)
        mark = trial.mark()
        trial.check_whole(stream, trial.sync(stream))
        quiet = trial.requests(mark)
        # A failure may also send a walk back to its beginning; more than that would be a second layer of retries.
        assert len(stormy) <= 2 * len(quiet) + 2 * hits + 4, (vendor, stream, faults, len(stormy), len(quiet))


@pytest.mark.parametrize(
    "vendor",
    [vendor if vendor in STORMY else pytest.param(vendor, marks=pytest.mark.slow) for vendor in HTTP_VENDORS],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_storm_of_everything_loses_nothing(vendor: str, seed: int, trial_of: TrialOf) -> None:
    """All kinds at once, pages that lie among them: whole or untouched, and whole when it is over."""
    trial = trial_of(vendor, 100 + seed)
    draw = trial.draw
    landed_before(trial)
    for _ in range(2):
        trial.step()
        for stream in trial.scenario.streams:
            kinds = [*TRANSIENT, *trial.scenario.page_faults]
            for fault in draw.choices(kinds, k=10) + list(trial.scenario.page_faults):
                arm(trial, fault, times=draw.randint(1, 3), after=draw.randrange(6))
            before = trial.state(stream)
            result = trial.sync(stream)
            after = trial.state(stream)
            if result.status != "succeeded":
                assert result.status == "failed" and result.error, result
                assert after.cursor == before.cursor or result.cursor_after is not None, (vendor, stream, result)
                if result.cursor_after is None:
                    assert after == before, (vendor, stream, result)
            calm(trial)
    trial.step()
    for stream in trial.scenario.streams:
        trial.check_whole(stream, trial.sync(stream))


@pytest.mark.parametrize("vendor", HTTP_VENDORS)
def test_a_vendor_that_never_recovers_is_given_up(vendor: str, trial_of: TrialOf) -> None:
    """Bounded tries, a clean failure that says so, nothing moved."""
    trial = trial_of(vendor)
    stream = trial.scenario.streams[0]
    trial.check_whole(stream, trial.sync(stream))
    trial.step()
    before = trial.state(stream)
    policies = [http.retry.tries for http in clients_of(trial.source)]
    for fault in HOPELESS:
        arm(trial, fault, times=None)
        mark = trial.mark()
        result = trial.sync(stream)
        calls = trial.requests(mark)
        assert result.status == "failed" and result.error, (fault, result)
        assert result.unanswered, (fault, "a silent vendor must be told from one that refuses", result)
        assert trial.state(stream) == before
        assert 2 <= len(calls) <= max(MOST_TRIES, *policies), (vendor, fault, len(calls))
        calm(trial)
    trial.check_whole(stream, trial.sync(stream))


@pytest.mark.parametrize("vendor", HTTP_VENDORS)
def test_a_refusal_is_not_repeated(vendor: str, trial_of: TrialOf) -> None:
    """Exactly one call for what will be refused again; one more where a fresh token may be accepted."""
    trial = trial_of(vendor)
    stream = trial.scenario.streams[0]
    trial.check_whole(stream, trial.sync(stream))
    before = trial.state(stream)
    for status in (400, 401, 403, 404):
        arm(trial, f"http_{status}", times=None)
        mark = trial.mark()
        result = trial.sync(stream)
        calls = trial.requests(mark)
        assert result.status == "failed" and not result.unanswered, (vendor, status, result)
        assert trial.state(stream) == before
        renews = status in (401, 403) and any(is_token(entry) for entry in trial.requests())
        data = [entry for entry in calls if not is_token(entry)]
        assert len(data) <= (2 if renews else 1), (vendor, status, calls)
        assert len(calls) - len(data) <= 1 and calls, (vendor, status, calls)
        calm(trial)
    trial.check_whole(stream, trial.sync(stream))


def is_token(entry: dict[str, Any]) -> bool:
    """Whether a call fetched a token."""
    return "token" in entry["path"] or "token" in entry["operation"]


@pytest.mark.parametrize("vendor", HTTP_VENDORS)
def test_every_page_fault_of_the_side_is_in_the_storm(vendor: str) -> None:
    """A vendor's side that learns to lie about pages in a new way is not forgotten here."""
    lies = {name for name in SIDES[vendor].faults if name.endswith(("_page", "_rows", "_nodes"))}
    assert lies - {"endless_page"} <= set(scenario_of(vendor).page_faults), lies

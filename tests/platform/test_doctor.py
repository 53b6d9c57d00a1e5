"""The doctor asks vendors side by side, waits for none for ever, and says what is lost without each."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import click
import pytest

from ops_platform.commands import doctor
from ops_platform.commands.findings import Finding, show
from ops_platform.failures import ConfigurationError, TransientFailure
from ops_platform.ingestion.contract import Probe
from resources import http
from resources.vendors import streams


class Asked:
    """A source whose probe is what the test says."""

    def __init__(self, vendor: str, probe: Any) -> None:
        self.vendor = vendor
        self.streams = streams(vendor)
        self.probe = probe
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    sources: dict[str, Any] = {}

    def source_of(vendor: str, settings: object) -> Any:
        found = sources.get(vendor)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("resources.vendors.source_of", source_of)
    monkeypatch.setattr(http, "vendor_clocks", {})
    return sources


def good() -> Iterator[Probe]:
    yield Probe("credentials", True, "known")
    yield Probe("orders", True, "2 of 2 known orders", streams=("orders",))


def by_check(findings: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(finding.subject, finding.check): finding for finding in findings}


def test_each_endpoint_says_what_to_do_and_what_is_lost(connected: dict[str, Any]) -> None:
    def scopes() -> Iterator[Probe]:
        yield Probe("credentials", True, "known")
        yield Probe("orders", False, "403: read_orders is missing", "grant read_orders", ("orders",))

    connected["shopify"] = source = Asked("shopify", scopes)
    found = by_check(doctor.vendor_findings(["shopify", "slack"], 5))
    orders = found["shopify", "orders"]
    assert (orders.state, orders.advice, orders.streams) == ("failed", "grant read_orders", ("orders",))
    assert "Net sales" in orders.metrics
    assert found["shopify", "credentials"].metrics == ()
    missing = found["slack", ""]
    assert missing.state == "not connected" and "Factory questions open" in str(missing.metrics)
    assert "Net sales" not in missing.metrics
    assert source.closed


def test_refused_credentials_cost_every_stream(connected: dict[str, Any]) -> None:
    connected["netsuite"] = Asked("netsuite", lambda: iter([Probe("credentials", False, "401", "make a new key")]))
    connected["slack"] = ConfigurationError("SLACK_BOT_TOKEN is no token")
    found = by_check(doctor.vendor_findings(["netsuite", "slack"], 5))
    assert found["netsuite", "credentials"].streams == tuple(streams("netsuite"))
    assert "ERP revenue" in found["netsuite", "credentials"].metrics
    assert (found["slack", "credentials"].state, found["slack", "credentials"].detail) == (
        "failed", "SLACK_BOT_TOKEN is no token",
    )  # fmt: skip


def test_what_hangs_is_left_behind_and_the_others_are_asked_meanwhile(connected: dict[str, Any]) -> None:
    never = threading.Event()

    def hanging() -> Iterator[Probe]:
        yield Probe("credentials", True, "known")
        never.wait(60)
        yield Probe("orders", True, "too late", streams=("orders",))

    connected["shopify"] = Asked("shopify", hanging)
    connected["netsuite"] = Asked("netsuite", hanging)
    connected["slack"] = Asked("slack", good)
    began = time.monotonic()
    findings = doctor.vendor_findings(["shopify", "netsuite", "slack"], 0.5)
    assert time.monotonic() - began < 5
    found = by_check(findings)
    assert "the endpoint after credentials did not answer within 0.5 s" in found["shopify", "no answer"].detail
    assert "orders" in found["shopify", "no answer"].streams
    assert found["slack", "orders"].state == "ok"
    assert [finding.subject for finding in findings if finding.check == "credentials"] == [
        "shopify", "netsuite", "slack",
    ]  # fmt: skip
    never.set()


def test_only_a_probe_is_accepted_and_a_broken_one_is_said(connected: dict[str, Any]) -> None:
    def broken() -> Iterator[Probe]:
        raise KeyError("x")
        yield

    def refused() -> Iterator[Probe]:
        yield Probe("credentials", True, "known")
        raise TransientFailure("nobody answers")

    connected["shopify"] = Asked("shopify", lambda: iter([("orders", True, "answers")]))
    connected["netsuite"] = Asked("netsuite", broken)
    connected["slack"] = Asked("slack", refused)
    found = by_check(doctor.vendor_findings(["shopify", "netsuite", "slack"], 5))
    assert found["shopify", "probe"].state == "failed"
    assert "KeyError" in found["netsuite", "endpoints"].detail
    assert found["slack", "endpoints"].detail == "nobody answers"


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "ok"), (5, "ok"), (-5, "ok"), (20, "warning"), (-20, "warning"), (90, "failed")]
)
def test_the_clock_of_a_vendor_is_held_against_ours(connected: dict[str, Any], seconds: int, state: str) -> None:
    connected["slack"] = Asked("slack", good)
    now = datetime.now(UTC)
    http.vendor_clocks["slack"] = (format_datetime(now + timedelta(seconds=seconds), usegmt=True), now.timestamp())
    found = by_check(doctor.vendor_findings(["slack"], 5))["slack", "clock"]
    assert found.state == state
    if state != "ok":
        assert ("ahead" if seconds > 0 else "behind") in found.detail
        assert "signed logins are refused" in found.advice
    http.vendor_clocks["slack"] = ("yesterday", now.timestamp())
    assert ("slack", "clock") not in by_check(doctor.vendor_findings(["slack"], 5))


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    for free, state in ((10**8, "failed"), (10**9, "warning"), (10**10, "ok")):
        monkeypatch.setattr("shutil.disk_usage", lambda path, free=free: usage(10**11, 0, free))
        assert doctor.disk_finding(tmp_path / "not" / "yet").state == state


def test_json_has_a_stable_shape_and_the_exit_code_tells(capsys: pytest.CaptureFixture[str]) -> None:
    fine = Finding("slack", "users", "ok", "3 people", streams=("users",), seconds=0.1)
    assert show([fine], as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert set(answer["findings"][0]) == {
        "subject", "check", "state", "detail", "advice", "streams", "metrics", "seconds",
    }  # fmt: skip
    bad = Finding("slack", "users", "failed", "no \x1b[31m scope", "add it", ("users",), ("Messages",))
    assert show([bad], as_json=False) == 1
    printed = capsys.readouterr().out
    assert "\x1b[31m" not in printed and "→ add it" in printed and "lost without it: Messages" in printed


def test_an_unknown_vendor_is_wrong_use() -> None:
    with pytest.raises(click.UsageError, match="choose among shopify"):
        doctor.doctor(vendors=["shopfy"], as_json=True)

"""The seller performance report: found or asked for, waited for, fetched.

Belongs here: the life of one report. Does not belong here: what is in it (`records.py`).

Amazon has no endpoint for account health; it is a report that takes a while to be made. One that is fresh enough
is used again, one that is under way is waited for, and only else a new one is asked for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops_platform.failures import PermanentFailure, TransientFailure
from ops_platform.records import JsonObject
from resources.amazon.client import AmazonClient
from resources.record_checks import Flaw, moment, utc_text

log = logging.getLogger(__name__)

PATH = "/reports/2021-06-30"
KIND = "GET_V2_SELLER_PERFORMANCE_REPORT"
FRESH = timedelta(hours=6)
WAIT_SECONDS = 600.0
FIRST_WAIT, LONGEST_WAIT = 5.0, 30.0
_UNDER_WAY = frozenset({"IN_QUEUE", "IN_PROGRESS"})


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is made."""

    id: str
    created: datetime
    document_id: str


def newest_report(client: AmazonClient, marketplace_id: str, now: datetime) -> Report:
    """A report not older than `FRESH`. Raises `TransientFailure` when it is not made within `WAIT_SECONDS` (the next
    sync finds it), `PermanentFailure` when Amazon gives it up."""
    known = _recent(client, marketplace_id, now)
    for status in (frozenset({"DONE"}), _UNDER_WAY):
        for report in known:
            if report.get("processingStatus") in status:
                return _finished(client, report)
    answer = client.post("createReport", f"{PATH}/reports", {"reportType": KIND, "marketplaceIds": [marketplace_id]})
    report_id = answer.get("reportId")
    if not isinstance(report_id, str) or not report_id:
        raise TransientFailure("amazon: createReport answered without a reportId")
    return _finished(client, {"reportId": report_id, "processingStatus": "IN_QUEUE"})


def fetch(client: AmazonClient, report: Report) -> Any:
    """The report's document. Its URL lives five minutes: one that has ended is asked for once more."""
    for last in (False, True):
        told = client.get("getReportDocument", f"{PATH}/documents/{report.document_id}", {})
        url = told.get("url")
        if not isinstance(url, str) or not url:
            raise TransientFailure("amazon: getReportDocument answered without a url")
        try:
            return client.document(url, told.get("compressionAlgorithm"))
        except PermanentFailure as failure:
            if last or "status 403" not in str(failure):
                raise
            log.info("amazon: the link to a report had ended; once more")
    raise AssertionError("unreachable")  # pragma: no cover


def _recent(client: AmazonClient, marketplace_id: str, now: datetime) -> list[JsonObject]:
    """Reports of this kind and marketplace not older than `FRESH`, the newest first."""

    def accept(data: Any) -> None:
        if not isinstance(data.get("reports"), list):
            raise TransientFailure("amazon: getReports answered without reports")

    answer = client.get(
        "getReports",
        f"{PATH}/reports",
        {
            "reportTypes": KIND,
            "marketplaceIds": marketplace_id,
            "createdSince": utc_text(now - FRESH),
            "pageSize": 100,
        },
        accept,
    )
    found = [
        report
        for report in answer["reports"]
        if isinstance(report, dict)
        and report.get("reportType") == KIND
        and marketplace_id in (report.get("marketplaceIds") or [marketplace_id])
        and now - FRESH <= _created(report)
    ]
    return sorted(found, key=_created, reverse=True)


def _finished(client: AmazonClient, report: JsonObject) -> Report:
    report_id = str(report["reportId"])
    began, wait = client.http.clock(), FIRST_WAIT
    while True:
        status = report.get("processingStatus")
        if status == "DONE":
            document = report.get("reportDocumentId")
            if not isinstance(document, str) or not document:
                raise TransientFailure("amazon: a finished report names no document")
            return Report(report_id, _created(report), document)
        if status == "CANCELLED":
            raise PermanentFailure(
                "amazon: the seller performance report was cancelled: Amazon has no data for it in this marketplace, "
                "or somebody cancelled it in Seller Central; the next sync asks again"
            )
        if status == "FATAL":
            raise PermanentFailure(
                "amazon: Amazon could not make the seller performance report; the next sync asks again"
            )
        if status not in _UNDER_WAY:
            raise PermanentFailure(f"amazon: a report is in the unknown state {status!r}")
        if client.http.clock() - began + wait > WAIT_SECONDS:
            raise TransientFailure(
                f"amazon: the seller performance report was not made within {WAIT_SECONDS:.0f} s; "
                "the next sync will find it"
            )
        client.http.sleep(wait)
        wait = min(wait * 1.5, LONGEST_WAIT)
        report = client.get("getReport", f"{PATH}/reports/{report_id}", {})


def _created(report: JsonObject) -> datetime:
    try:
        return moment(report.get("createdTime"), "createdTime")
    except Flaw as flaw:
        raise TransientFailure(f"amazon: a report's {flaw.detail}") from None

"""`ops doctor` on what answers work orders: the writing account at GitHub, the default branch, labels, webhooks.

Belongs here: asking without writing. Does not belong here: reading GitHub (a vendor like any other), what is answered
(`ops_platform.work_orders`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ops_platform.commands.findings import Finding
from ops_platform.failures import OpsError

if TYPE_CHECKING:
    from ops_platform.settings import Settings


def work_order_findings(settings: Settings) -> list[Finding]:
    """The account that answers work orders, tried at GitHub: who it is, that the default branch is out of its reach and
    the labels are there. Nothing is written."""
    from ops_platform.work_orders.label_catalogue import catalogue, missing
    from ops_platform.work_orders.policy import get_work_policy
    from resources.github import writing

    guide = "see docs/connect/github.md, Writing"
    began = time.monotonic()
    try:
        writer = writing.connect(settings)
        if writer is None:
            lost = "no GITHUB_WRITE_TOKEN: nothing is answered"
            return [Finding("work orders", "answers", "not connected", lost, guide)]
        if not settings.github_repository:
            return [Finding("work orders", "answers", "failed", "GITHUB_REPOSITORY is missing: owner/name", guide)]
        try:
            said, protected = writer.identity(), writer.protected(settings.github_repository)
            public = writer.public(settings.github_repository)
            lacking = missing(catalogue(get_work_policy()), writer.labels(settings.github_repository))
        finally:
            writer.close()
    except OpsError as error:
        return [Finding("work orders", "answers", "failed", str(error), guide)]
    found = [Finding("work orders", "answers", "ok", said, seconds=round(time.monotonic() - began, 3))]
    if public:
        words = f"{settings.github_repository} is public: nothing is answered there, for answers hold company figures"
        found.append(Finding("work orders", "repository", "failed", words, f"make it private, {guide}"))
    if protected is False:
        words = f"the default branch of {settings.github_repository} is not protected: the token could push to it"
        found.append(Finding("work orders", "default branch", "warning", words, f"protect it, {guide}"))
    if lacking:
        words = f"{len(lacking)} labels are missing, {lacking[0].name} among them"
        found.append(Finding("work orders", "labels", "warning", words, "run `ops work labels`"))
    if settings.github_webhook_secret is None:
        words = "no GITHUB_WEBHOOK_SECRET: issues are found by the poll alone, a P0 up to a minute later"
        found.append(Finding("work orders", "webhook", "not connected", words, "see docs/connect/github.md, Webhooks"))
    return found

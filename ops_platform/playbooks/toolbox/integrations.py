"""Integrations: whether each answers, how fast, when it last did; its credentials; what the logs say of it.

Belongs here: the tools of the operations lead and of engineering. Does not belong here: asking
(`resources/integration_pings.py`, given to the tools), what a vendor is called (`fleet.yaml`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field

from ops_platform.evidence.model import Fact
from ops_platform.evidence.quoting import minimise
from ops_platform.failures import DataFailure
from ops_platform.playbooks.integrations import History, Labels, Pinged, Pinger, history, record
from ops_platform.playbooks.reporting import Action, Line, Reportable, Section, State, kept
from ops_platform.playbooks.toolbox.figures import Figures
from ops_platform.playbooks.tools import StepContext, Tool, ToolInput, ToolOutput
from ops_platform.redaction import redact

_SIGNS = ("attention", "unknown", "ok", "info")
HISTORY_QUERY = "select * from ops.integration_pings where integration = %(integration)s and at <= %(as_of)s"


class PingInput(ToolInput):
    integrations: list[str] = Field(default_factory=list, description="Which; all where none is named.")
    fast_ms: int = Field(default=500, ge=1, description="An answer within this is healthy.")
    slow_ms: int = Field(default=2000, ge=1, description="An answer later than this is an alert.")
    silent_hours: int = Field(default=2, ge=1, description="Without an answer for so long it is an alert.")


class Integration(ToolOutput):
    name: str
    label: str
    state: str = Field(description="online, offline or not_connected.")
    latency_ms: int | None
    last_success: datetime | None = Field(description="When it last answered; None: never, in 30 days.")
    offline_since: datetime | None
    uptime: Decimal | None = Field(description="Share of asks answered in 30 days.")
    slow: bool = Field(description="Answered, and later than an alert allows.")
    silent: bool = Field(description="No answer for longer than an alert allows.")
    detail: str


class Integrations(Reportable):
    """How every integration stands."""

    integrations: list[Integration]
    online: int
    offline: list[str] = Field(description="Those that do not answer, by name.")
    slow: list[str] = Field(description="Those that answer, and too late.")
    silent: list[str] = Field(description="Those without an answer for too long.")
    offline_labels: str = Field(description="Those that do not answer, as people call them, in a line.")
    silent_labels: str = Field(description="Those without an answer for too long, as people call them, in a line.")
    slow_labels: str = Field(description="Those that answer too late, as people call them, in a line.")
    not_connected: list[str] = Field(description="Those without credentials: neither online nor offline.")
    healthy: bool = Field(description="All that are connected are online.")
    offline_since: datetime | None = Field(description="Since when the one that is away longest is; None: none is.")
    worst_latency_ms: int | None
    uptime: Decimal | None = Field(description="Of all connected ones together, in 30 days.")


class IntegrationPings(Tool[PingInput, Integrations]):
    """Each integration asked for something known."""

    name = "integration_pings"
    description = (
        "Asks each integration for something known and keeps how it answered: latency, last success, uptime of 30 days."
        " In a rehearsal it asks nobody and answers from what is on record."
    )
    Input, Output, effect = PingInput, Integrations, "writes"
    timeout_seconds = 60

    def __init__(self, pinger: Pinger, labels: Labels) -> None:
        self._ping = pinger
        self._labels = labels

    def run(self, given: PingInput, context: StepContext) -> Integrations:
        unknown = sorted(set(given.integrations) - set(self._labels))
        if unknown:
            raise DataFailure(f"there is no integration {', '.join(unknown)}; there are {', '.join(self._labels)}")
        wanted = given.integrations or list(self._labels)
        if context.dry_run:
            before = history(context.connection, context.as_of)
            pings = [_recorded(name, before.get(name)) for name in wanted]
        else:
            pings = list(self._ping(wanted))
            record(context.connection, pings, context.as_of)
        known = history(context.connection, context.as_of)
        found = [self._seen(one, known.get(one.integration), given, context) for one in pings]
        asked = [one for one in found if one.state != "not_connected"]
        uptimes = [one.uptime for one in asked if one.uptime is not None]
        away = [one.offline_since or context.as_of for one in found if one.state == "offline"]
        worst = max((one.latency_ms for one in found if one.latency_ms is not None), default=None)
        uptime = (sum(uptimes, Decimal(0)) / len(uptimes)).quantize(Decimal("0.000001")) if uptimes else None
        offline = [one.name for one in found if one.state == "offline"]
        return Integrations(
            integrations=found, online=sum(one.state == "online" for one in found), offline=offline,
            slow=[one.name for one in found if one.slow], silent=[one.name for one in found if one.silent],
            offline_labels=", ".join(one.label for one in found if one.state == "offline"),
            silent_labels=", ".join(one.label for one in found if one.silent),
            slow_labels=", ".join(one.label for one in found if one.slow),
            not_connected=[one.name for one in found if one.state == "not_connected"], healthy=not offline,
            offline_since=min(away, default=None), worst_latency_ms=worst, uptime=uptime,
            section=kept(self._section(found, given, context, uptime, len(asked))),
        )  # fmt: skip

    def _seen(self, one: Pinged, known: History | None, given: PingInput, context: StepContext) -> Integration:
        last = context.as_of if one.state == "online" else known.last_success if known is not None else None
        # What never answered has been silent since it was first asked.
        since = last or (known.offline_since if known is not None else None) or context.as_of
        silent = one.state == "offline" and context.as_of - since >= timedelta(hours=given.silent_hours)
        return Integration(
            name=one.integration, label=self._labels[one.integration], state=one.state, latency_ms=one.latency_ms,
            last_success=last, offline_since=known.offline_since if known is not None else None,
            uptime=known.uptime if known is not None else None,
            slow=one.latency_ms is not None and one.latency_ms > given.slow_ms, silent=silent,
            detail=minimise(redact(one.detail), 200),
        )  # fmt: skip

    def _section(
        self, found: list[Integration], given: PingInput, context: StepContext, uptime: Decimal | None, asked: int
    ) -> Section:
        figures = Figures(context)
        facts: list[Fact] = []
        lines: list[Line] = []
        actions: list[Action] = []

        def fact(fact_id: str, label: str, unit: Any, value: Any, **more: Any) -> str:
            facts.append(
                figures.fact(fact_id, label, unit, value, None, "ops.integration_pings", HISTORY_QUERY,
                             {"as_of": context.as_of.isoformat()}, **more)
            )  # fmt: skip
            return fact_id

        online = sum(one.state == "online" for one in found)
        fact("integrations_online", "Integrations online", "count", online, direction="up_is_good")
        fact("integrations_asked", "Integrations connected", "count", asked)
        fact("integrations_uptime", "Uptime in the last month", "ratio", uptime, direction="up_is_good")
        out = sum(one.state == "offline" for one in found)
        fact("integrations_offline", "Integrations that do not answer", "count", out, direction="down_is_good", limit=0)
        if out:
            lines.append(Line("attention", "Integrations that do not answer", ("integrations_offline",)))
        else:
            lines.append(Line("ok", "Every connected integration answers"))
        for one in found:
            if one.state == "not_connected":
                lines.append(Line("info", f"{one.label}: not connected"))
                continue
            if one.state == "offline":
                shown: tuple[str, ...] = ()
                if one.offline_since is not None:
                    hours = Decimal((context.as_of - one.offline_since).total_seconds()) / 3600
                    name = fact(f"{one.name}_away", f"Time without {one.label}", "hours",
                                hours.quantize(Decimal("0.01")), direction="down_is_good",
                                limit=given.silent_hours)  # fmt: skip
                    shown = (name,)
                lines.append(Line("attention", f"{one.label} does not answer", shown, one.detail))
                actions.append(
                    Action(f"integration:{one.name}", f"Bring {one.label} back", "critical", "engineering", 1,
                           one.detail, shown)
                )  # fmt: skip
                continue
            fast = one.latency_ms is not None and one.latency_ms <= given.fast_ms
            name = fact(f"{one.name}_latency", f"Answer time of {one.label} in milliseconds", "count", one.latency_ms,
                        direction="down_is_good", limit=given.slow_ms if one.slow else given.fast_ms,
                        limit_label="the limit" if one.slow else "the aim")  # fmt: skip
            state: State = "attention" if one.slow else "ok" if fast else "info"
            lines.append(Line(state, f"{one.label}, milliseconds:", (name,)))
            if one.slow:
                actions.append(
                    Action(f"latency:{one.name}", f"Find out why {one.label} answers late", "watch", "engineering", 3,
                           "", (name,))
                )  # fmt: skip
        # What is out comes before what is slow, both before what is well.
        lines.sort(key=lambda line: (_SIGNS.index(line.state), "milliseconds" in line.label))
        return Section(
            "Integrations", tuple(facts), ("integrations_online", "integrations_asked", "integrations_uptime"),
            tuple(lines), tuple(actions),
        )  # fmt: skip


def _away(results: Mapping[str, ToolOutput], *, slow: bool) -> list[str]:
    """The integrations that do not answer, or those that answer late, in the results a role is given."""
    found: dict[str, None] = {}
    for result in results.values():
        if isinstance(result, Integrations):
            found |= dict.fromkeys(result.slow if slow else result.offline)
    return list(found)[:20]


def _recorded(name: str, known: History | None) -> Pinged:
    if known is None or known.state is None:
        return Pinged(name, "not_connected", None, "never asked up to then")
    return Pinged(name, known.state, known.latency_ms, known.detail)


# Engineering: credentials and logs ------------------------------------------------------------------------------


class CredentialsInput(ToolInput):
    integrations: list[str] = Field(min_length=1, max_length=20, description="Whose credentials to look at.")


class CredentialState(ToolOutput):
    integration: str
    set: bool = Field(description="Whether credentials are set at all.")
    refused: bool = Field(description="Whether the vendor refused them at the last ask.")
    last_accepted: datetime | None = Field(description="When the vendor last answered an ask made with them.")
    verdict: str = Field(description="credentials, network, vendor or unknown: where the fault most likely is.")
    detail: str


class Credentials(Reportable):
    """What is known of the credentials of some integrations. Never the credentials themselves."""

    credentials: list[CredentialState]
    refused: list[str]


_REFUSED = ("401", "403", "invalid_auth", "unauthor", "forbidden", "refused the", "not accepted", "expired", "revoked",
            "scope", "token", "password")  # fmt: skip
_NETWORK = ("cannot reach", "cannot connect", "connection", "timed out", "did not answer", "no answer", "certificate")


class CredentialsCheck(Tool[CredentialsInput, Credentials]):
    """Whether credentials are set, accepted, refused."""

    name = "credentials_check"
    description = (
        "Of each integration named: whether credentials are set, when they were last accepted, and whether the last"
        " answer speaks of credentials, of the network or of the vendor. Reads what is on record; asks nobody."
    )
    Input, Output, effect = CredentialsInput, Credentials, "reads"

    def __init__(self, labels: Labels) -> None:
        self._labels = labels

    def asked(self, results: Mapping[str, ToolOutput]) -> CredentialsInput | None:
        away = _away(results, slow=False)
        return CredentialsInput(integrations=away) if away else None

    def run(self, given: CredentialsInput, context: StepContext) -> Credentials:
        known = history(context.connection, context.as_of)
        found = [self._state(name, known.get(name)) for name in given.integrations]
        lines = tuple(
            Line("attention" if one.refused else "info",
                 f"{self._labels.get(one.integration, one.integration)}: {_VERDICTS[one.verdict]}", (), one.detail)
            for one in found
        )  # fmt: skip
        actions = tuple(
            Action(f"credentials:{one.integration}",
                   f"Renew the credentials of {self._labels.get(one.integration, one.integration)}", "critical",
                   "engineering", 1, one.detail)
            for one in found if one.refused
        )  # fmt: skip
        return Credentials(
            credentials=found, refused=[one.integration for one in found if one.refused],
            section=kept(Section("Credentials", (), (), lines, actions)),
        )  # fmt: skip

    @staticmethod
    def _state(name: str, known: History | None) -> CredentialState:
        if known is None or known.state is None:
            return CredentialState(integration=name, set=False, refused=False, last_accepted=None, verdict="unknown",
                                   detail="never asked")  # fmt: skip
        said = known.detail.lower()
        verdict = "fine"
        if known.state == "not_connected":
            verdict = "missing"
        elif known.state == "offline":
            network = any(word in said for word in _NETWORK)
            refused = any(word in said for word in _REFUSED)
            verdict = "network" if network else "credentials" if refused else "vendor"
        return CredentialState(
            integration=name, set=known.state != "not_connected", refused=verdict == "credentials",
            last_accepted=known.last_success, verdict=verdict, detail=minimise(redact(known.detail), 200),
        )  # fmt: skip


_VERDICTS = {
    "credentials": "the vendor refuses the credentials", "network": "the network or the host, not the credentials",
    "vendor": "the vendor's own fault, by what it says", "missing": "no credentials are set",
    "fine": "accepted at the last ask", "unknown": "never asked",
}  # fmt: skip


class LogsInput(ToolInput):
    words: list[str] = Field(min_length=1, max_length=20, description="Lines with any of these words.")
    hours: int = Field(default=24, ge=1, le=24 * 14)
    most: int = Field(default=20, ge=1, le=100)


class LogLine(ToolOutput):
    at: datetime
    where: str = Field(description="sync, build, run, message or ask.")
    subject: str
    text: str = Field(description="Shortened, without credentials, links and addresses.")


class Logs(Reportable):
    """Failures on record."""

    lines: list[LogLine] = Field(description="The newest first.")
    count: int = Field(description="How many there are in all.")
    first: datetime | None
    last: datetime | None


_LOGS = """
with failures as (
    select
        runs.started_at as at,
        'sync' as place,
        runs.vendor || '.' || runs.stream as subject,
        runs.error as said
    from ops.sync_runs as runs
    where runs.error is not null
    union all
    select
        builds.finished_at,
        'build',
        'warehouse',
        builds.failures::text || ' failures'
    from ops.warehouse_builds as builds
    where builds.status = 'failed'
    union all
    select
        receipts.started_at,
        'run',
        receipts.job,
        receipts.error
    from ops.receipts as receipts
    where receipts.error is not null
    union all
    select
        messages.updated_at,
        'message',
        messages.kind || ' to ' || messages.channel_key,
        messages.error
    from ops.outbox as messages
    where messages.error is not null and messages.state <> 'sent'
    union all
    select
        pings.at,
        'ask',
        pings.integration,
        pings.detail
    from ops.integration_pings as pings
    where pings.state = 'offline'
)

select
    failures.at,
    failures.place,
    failures.subject,
    failures.said,
    count(*) over () as found,
    min(failures.at) over () as first_at,
    max(failures.at) over () as last_at
from failures
where
    failures.at <= %(as_of)s
    and failures.at > %(as_of)s - make_interval(hours => %(hours)s)
    and exists (
        select from unnest(%(words)s::text[]) as words (word)
        where
            strpos(lower(failures.subject), lower(words.word)) > 0
            or strpos(lower(failures.said), lower(words.word)) > 0
    )
order by failures.at desc, failures.subject
limit %(most)s
"""


class SearchLogs(Tool[LogsInput, Logs]):
    """What went wrong lately, by words."""

    name = "search_logs"
    description = (
        "Failures on record with any of the words: of syncs, builds, runs, messages and asks; the newest first. Text is"
        " shortened and carries no credentials."
    )
    Input, Output, effect = LogsInput, Logs, "reads"

    def asked(self, results: Mapping[str, ToolOutput]) -> LogsInput | None:
        away = _away(results, slow=False) or _away(results, slow=True)
        return LogsInput(words=away) if away else None

    def run(self, given: LogsInput, context: StepContext) -> Logs:
        figures = Figures(context)
        params = {"as_of": context.as_of, "hours": given.hours, "words": given.words, "most": given.most}
        rows = figures.rows(_LOGS, params)
        count = rows[0]["found"] if rows else 0
        lines = [
            LogLine(at=row["at"], where=row["place"], subject=minimise(row["subject"], 80),
                    text=minimise(redact(row["said"] or ""), 200))
            for row in rows
        ]  # fmt: skip
        fact = figures.fact("failures_logged", "Failures on record", "count", count, None, "ops.sync_runs", _LOGS,
                            {name: str(value) for name, value in params.items()}, direction="down_is_good")  # fmt: skip
        shown = tuple(
            Line("attention", f"Newest failure of a {line.where}:", (), f"{line.subject}: {line.text}")
            for line in lines[:3]
        )
        return Logs(
            lines=lines, count=count, first=rows[0]["first_at"] if rows else None,
            last=rows[0]["last_at"] if rows else None,
            section=kept(Section("Logs", (fact,), ("failures_logged",), shown)),
        )  # fmt: skip

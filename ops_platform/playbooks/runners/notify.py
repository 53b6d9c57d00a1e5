"""Steps that tell people: in Slack, by e-mail, on the dashboard; each matter once.

Belongs here: what is told, to whom, and whether it was told already. Does not belong here: how a message looks
(`ops_platform.documents`), posting (the outbox), quiet hours' values (`fleet.yaml`).

A notice is written down under its dedupe key in the same transaction as its messages: two runs that come to the same
matter tell it once. What people write in a playbook, and what comes out of results, is shown as quoted text: it makes
no mention, no link and no markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ops_platform import clock
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.playbooks import expressions
from ops_platform.playbooks.model import Notify
from ops_platform.playbooks.record import bounded
from ops_platform.playbooks.tools import Effect, StepContext, Toolbox, ToolOutput

if TYPE_CHECKING:
    from ops_platform.documents.model import Document
    from ops_platform.fleet import Fleet
    from ops_platform.fleet.delivery_policy import Level
    from ops_platform.playbooks.model import Playbook

#: Gives the vendor's id of a channel by its role; raises `ConfigurationError` where none is connected.
ChannelOf = Callable[[str], str]
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_LEVELS: Mapping[str, Level] = {"low": "info", "normal": "watch", "high": "alert", "critical": "critical"}
_TITLE_MOST, _TEXT_MOST = 150, 3000


def is_address(text: str) -> bool:
    """Whether mail can be sent to it, as far as its looks tell."""
    return _ADDRESS.fullmatch(text) is not None


class Told(ToolOutput):
    """What a notification did."""

    told: bool = Field(description="False where this very matter was told before.")
    messages: int = Field(description="Messages put in the outbox.")
    unreached: list[str] = Field(description="Targets that are not connected, in words.")


class NotifyRunner:
    """Implements `Runner`. `mail` tells whether e-mail can be sent; it and `channel_of` are asked when a step runs, not
    before."""

    def __init__(self, fleet: Callable[[], Fleet], channel_of: ChannelOf, mail: Callable[[], bool]) -> None:
        self._fleet, self._channel_of, self._mail = fleet, channel_of, mail

    def output(self, step: Notify, tools: Toolbox) -> type[ToolOutput]:
        return Told

    def problems(self, step: Notify, playbook: Playbook, tools: Toolbox) -> list[tuple[str, str]]:
        found = []
        if step.text is None and step.report is None:
            found.append(("type", "there is nothing to tell: give it a text or a report"))
        lists = self._fleet().delivery.lists
        for place, target in enumerate(step.to):
            given = [target.slack is not None, target.email is not None, target.dashboard]
            if sum(given) != 1:
                found.append((f"to.{place}", "a target is exactly one of slack, email, dashboard"))
            named = [target.email] if isinstance(target.email, str) else target.email or []
            found += [
                (f"to.{place}.email", f"{one!r} is neither an address nor a list of fleet.yaml ({', '.join(lists)})")
                for one in named
                if not expressions.slots(one) and one not in lists and not is_address(one)
            ]
        return found

    def effect(self, step: Notify, tools: Toolbox) -> Effect:
        return "writes"

    def timeout_seconds(self, step: Notify, tools: Toolbox) -> int:
        return 60

    def run(self, step: Notify, given: Mapping[str, Any], context: StepContext, tools: Toolbox) -> Told:
        fleet = self._fleet()
        matter = given.get("dedupe")
        key = context.key if matter is None else f"notice:{context.playbook}:{context.step}:{matter}"
        if context.dry_run and matter is not None:
            key = f"dry:{context.execution_id}:{key}"
        title = str(given["title"]).strip()[:_TITLE_MOST]
        text = str(given.get("text") or "").strip()[:_TEXT_MOST]
        if not title:
            raise DataFailure("the title is empty")
        number = None if step.report is None else _document_of(context, step.report)
        if not self._note(context, key, step.severity, title, text, number):
            context.log(f"told before under {key}")
            return Told(told=False, messages=0, unreached=[])
        document = _notice(context, fleet.company.timezone, title, text)
        level = _LEVELS[step.severity]
        messages, unreached, reached = 0, [], False
        for place, target in enumerate(given["to"]):
            try:
                if target.get("slack"):
                    messages += self._to_slack(
                        fleet, context, document, number, target["slack"], f"{key}:{place}", level
                    )
                elif target.get("email"):
                    messages += self._to_email(
                        fleet, context, document, number, target["email"], f"{key}:{place}", level
                    )
                reached = True
            except ConfigurationError as error:
                unreached.append(str(error))
        if not reached:
            # A matter that nobody can be told of is not told: the next run tries again.
            raise DataFailure(f"nobody could be told: {'; '.join(unreached)}")
        return Told(told=True, messages=messages, unreached=unreached)

    def _note(self, context: StepContext, key: str, severity: str, title: str, text: str, number: int | None) -> bool:
        row = context.connection.execute(
            """insert into ops.playbook_notices
                   (key, execution_id, step_id, playbook_id, severity, title, body, document_id, at)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (key) do nothing returning key""",
            (
                bounded(key), context.execution_id, context.step, context.playbook, severity, title, text, number,
                context.as_of,
            ),
        ).fetchone()  # fmt: skip
        return row is not None

    def _to_slack(
        self,
        fleet: Fleet,
        context: StepContext,
        document: Document,
        number: int | None,
        role: str,
        key: str,
        level: Level,
    ) -> int:
        from ops_platform.delivery.outbox import enqueue
        from ops_platform.delivery.routing import quiet_until
        from ops_platform.documents import slack

        channel = self._channel_of(role)
        parent, sent = None, 0
        for document_id, shown in _parts(context, document, number):
            for message in slack.render(shown):
                row = enqueue(
                    context.connection, kind=context.playbook, period=None, channel_key=role, channel=channel,
                    payload=message.payload(), document_id=document_id, dedupe_key=f"{key}:{role}:{sent}",
                    thread_of=parent, quiet_until=quiet_until(fleet, level, clock.now()),
                )  # fmt: skip
                parent = parent or row.id
                sent += 1
        return sent

    def _to_email(
        self,
        fleet: Fleet,
        context: StepContext,
        document: Document,
        number: int | None,
        named: Any,
        key: str,
        level: Level,
    ) -> int:
        from ops_platform.delivery.email import enqueue_document
        from ops_platform.delivery.routing import quiet_until

        addresses = self._addresses(fleet, named)
        if not self._mail():
            raise ConfigurationError("e-mail is not connected: set SMTP_URL")
        # A report is a mail by itself, its headline the subject; without one the notice is.
        document_id, shown = _parts(context, document, number)[-1]
        rows = enqueue_document(
            context.connection, shown, kind=context.playbook, to=addresses, sender=fleet.company.name, key=key,
            document_id=document_id, quiet_until=quiet_until(fleet, level, clock.now()),
        )  # fmt: skip
        return len(rows)

    def _addresses(self, fleet: Fleet, named: Any) -> list[str]:
        found: list[str] = []
        for one in [named] if isinstance(named, str) else named:
            if isinstance(one, list):
                found += self._addresses(fleet, one)
            elif one in fleet.delivery.lists:
                found += fleet.delivery.lists[one]
            elif is_address(str(one)):
                found.append(str(one))
            else:
                raise DataFailure(f"{str(one)[:80]!r} is neither an address nor a list of fleet.yaml")
        if not found:
            raise DataFailure("there is no address to send it to")
        return list(dict.fromkeys(found))


def _document_of(context: StepContext, report: str) -> int:
    number = getattr(context.results[report], "document_id", None)
    if not isinstance(number, int):
        raise DataFailure(f"{report} gave no document")
    return number


def _parts(context: StepContext, notice: Document, number: int | None) -> list[tuple[int | None, Document]]:
    """The notice and, where there is one, the report that goes with it."""
    if number is None:
        return [(None, notice)]
    from ops_platform.documents.kinds import message_of
    from ops_platform.writing.archive import load

    archived = load(context.connection, number)
    return [(None, notice), (number, message_of(archived.bundle, archived.draft, archived.document))]


def _notice(context: StepContext, zone: str, title: str, text: str) -> Document:
    """A short message of quoted words, under the playbook's name."""
    from ops_platform.documents.model import Document, Footer, Paragraph, Quoted, Title, rich
    from ops_platform.evidence.model import Period

    local = context.as_of.astimezone(_zone(zone))
    paragraphs = tuple(Paragraph(rich(Quoted(part.strip()))) for part in text.split("\n\n") if part.strip())
    footer = Footer(
        (
            rich(Quoted(context.playbook_name), f" · {local:%a %d %b %H:%M}"),
            rich(f"ops playbook history {context.playbook} --execution {context.execution_id}"),
        )
    )
    return Document(
        kind="playbook_notice", period=Period(context.today, context.today, context.today.isoformat()),
        as_of=context.as_of, summary=rich(Quoted(title)), blocks=(Title(rich(Quoted(title))), *paragraphs, footer),
        claims=(), evidence="", writer="rules",
    )  # fmt: skip


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)

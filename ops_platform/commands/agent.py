"""`ops agent`: the roster as a table, one agent's answer to one issue.

Belongs here: reading an issue from a file, running an agent by itself, showing its answer. Does not belong here: the
answer (`ops_platform.work_orders.agents`), posting it (`ops coordinator`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from ops_platform.work_orders.agents import Agent, Answer, GivenOrder

#: GitHub takes no longer body; the rest of an issue is small.
FILE_BYTES = 2_000_000
MOST_LABELS = 100


def list_agents(*, as_json: bool) -> int:
    """Every agent: what it answers for, reads and may propose."""
    from ops_platform.work_orders.agents import roster

    agents = roster()
    if as_json:
        click.echo(json.dumps([_described(agent) for agent in agents.values()], indent=2))
        return 0
    for agent in agents.values():
        click.secho(agent.id, bold=True, nl=False)
        click.echo(f"  {agent.description}")
        click.secho(f"    reads {_reads(agent)}; may propose {', '.join(agent.effects.kinds)}", dim=True)
    return 0


def run_agent(
    name: str, *, number: int | None, file: Path | None, shape: str, folder: Path | None, as_json: bool
) -> int:
    """One answer, printed; 0 where it is complete, else 1 with what is missing."""
    from jobs.toolbox import model as connected_model
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database.connection import connect
    from ops_platform.work_orders.agents import answer, find

    agent = find(name)
    prepare_database()
    order = demo_of(agent) if number is None else read_issue(number, file)
    model, why_not = connected_model()
    with connect() as connection:
        made = answer(order, agent, connection, model, why_not=why_not, keep=number is not None)
        connection.commit() if number is not None else connection.rollback()
    if folder is not None:
        _put(made, folder)
    if as_json:
        click.echo(json.dumps(as_data(agent, order, made), indent=2, ensure_ascii=False))
    else:
        from ops_platform.commands.job import rendered

        click.echo(rendered(made.document, shape))
        _tell(made)
    return 0 if made.complete else 1


def demo_of(agent: Agent) -> GivenOrder:
    """The agent's own example. Raises `DataFailure` where its file has none."""
    if not agent.demo:
        raise DataFailure(f"agents/{agent.name}.yaml has no example (demo:)")
    return issue_of(agent.demo, int(agent.demo.get("number", 1)), f"the example of {agent.label}")


def read_issue(number: int, file: Path | None) -> GivenOrder:
    """The issue of a file, or as it was last seen at GitHub. Raises `DataFailure` for a file that is no issue, or of
    another number."""
    if file is None:
        return _seen(number)
    if file.stat().st_size > FILE_BYTES:
        raise DataFailure(f"{file} is larger than {FILE_BYTES:,} bytes: no issue is")
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataFailure(f"{file} is not JSON: {str(error)[:120]}") from None
    return issue_of(data, number, str(file))


def issue_of(data: Any, number: int, where: str) -> GivenOrder:
    """An issue as GitHub has it (or `{"issue": …}` of a webhook, or by hand with texts as labels)."""
    from ops_platform.work_orders.agents import GivenOrder

    if isinstance(data, dict) and isinstance(data.get("issue"), dict):
        data = {"repository": data.get("repository"), **data["issue"]}
    if not isinstance(data, dict) or not isinstance(data.get("title"), str):
        raise DataFailure(f"{where} is no issue: it needs a title")
    if "pull_request" in data:
        raise DataFailure(f"{where} is a pull request, not an issue")
    if data.get("number", number) != number:
        raise DataFailure(f"{where} is issue {data['number']}, not {number}")
    body = "" if data.get("body") is None else data["body"]
    if not isinstance(body, str):
        raise DataFailure(f"{where}: the body is a text")
    labels = _labels(data.get("labels") or (), where)
    priority = next(
        (each[9:] for each in labels if each in ("priority/P0", "priority/P1", "priority/P2", "priority/P3")), "P2"
    )
    return GivenOrder(
        number=number, title=_clean(data["title"]), body=_clean(body), labels=labels, priority=priority,
        repository=_repository(data.get("repository")),
    )  # fmt: skip


def _labels(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or len(given) > MOST_LABELS:
        raise DataFailure(f"{where}: labels are a list of at most {MOST_LABELS}")
    names = [each.get("name") if isinstance(each, Mapping) else each for each in given]
    if not all(isinstance(name, str) for name in names):
        raise DataFailure(f"{where}: a label is a text, or an object with a name")
    return tuple(_clean(str(name)) for name in names)


def _repository(given: Any) -> str:
    if isinstance(given, Mapping):
        given = given.get("full_name")
    return given if isinstance(given, str) and given.count("/") == 1 else "local/issues"


def _clean(text: str) -> str:
    """Without what PostgreSQL and JSON cannot hold."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _seen(number: int) -> GivenOrder:
    from ops_platform.database.connection import connect

    with connect() as connection:
        rows = connection.execute(
            "select repository, title, body, labels from ops.work_issues where number = %s order by seen_at desc",
            (number,),
        ).fetchall()
    if len(rows) != 1:
        found = "no issue" if not rows else f"an issue in {len(rows)} repositories"
        raise DataFailure(f"{found} of the number {number} was seen: give it with --issue-data FILE")
    repository, title, body, labels = rows[0]
    return issue_of(
        {"title": title, "body": body, "labels": list(labels), "repository": repository}, number, f"issue {number}"
    )


def as_data(agent: Agent, order: GivenOrder, made: Answer) -> dict[str, Any]:
    """The answer for a script."""
    return {
        "agent": agent.id, "number": order.number, "complete": made.complete, "reason": made.reason, "note": made.note,
        "document_id": made.document_id, "evidence": made.bundle.digest, "tokens": made.tokens,
        "cost_usd": str(made.cost), "tools_used": list(made.used), "text": made.text,
        "claims": [
            {"shown": each.text, "label": each.label, "tie_out": each.tie_out, "relation": each.source.relation}
            for each in made.document.claims
        ],
        "artefacts": [
            {"name": each.name, "media_type": each.media_type, "bytes": each.size, "what": each.what}
            for each in made.artefacts
        ],
        "effects": [{"kind": each.kind, "name": each.name} for each in made.effects],
    }  # fmt: skip


def _tell(made: Answer) -> None:
    if made.document_id is not None:
        click.secho(
            f"Kept as document #{made.document_id}: `ops trace {made.document_id}` shows each figure's source.",
            dim=True,
        )
    beyond = [each.kind for each in made.effects if each.kind not in ("comment", "artefact")]
    proposed = f", proposes {', '.join(beyond)}" if beyond else ""
    click.secho(f"Nothing was posted{proposed}. {made.note}.", dim=True)
    if not made.complete:
        click.secho(f"Not complete: {made.reason}.", fg="yellow", err=True)


def _put(made: Answer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in made.artefacts:
        # The name is ours; still, nothing leaves the folder.
        (folder / Path(each.name).name).write_text(each.content, encoding="utf-8")


def _described(agent: Agent) -> dict[str, Any]:
    return {
        "id": agent.id, "label": agent.label, "team": agent.team, "description": agent.description, "bot": agent.bot,
        "task": agent.task, "tokens": agent.tokens, "tokens_a_day": agent.tokens_a_day, "turns": agent.turns,
        "tools": list(agent.tools), "scope": agent.scope.model_dump(), "effects": agent.effects.model_dump(),
        "output": agent.output.model_dump(), "needs_manager": agent.needs_manager,
    }  # fmt: skip


def _reads(agent: Agent) -> str:
    scope = agent.scope
    parts = ["every metric" if "all" in scope.divisions else ", ".join(scope.divisions).replace("_", " ")]
    if scope.marts:
        parts.append(f"{len(scope.marts)} marts")
    parts += [f"platform: {', '.join(scope.readings)}"] if scope.readings else []
    return "; ".join(part for part in parts if part)

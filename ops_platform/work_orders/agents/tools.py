"""The tools an agent's model may use: structured, reading only, within the agent's scope.

Belongs here: each tool's shape, what it does to the choice of what is looked at, what it tells the model. Does not
belong here: the conversation (`loop.py`), reading the evidence of the answer itself (`evidence.py`, once, in one
snapshot).

Arguments come from a model that has read a stranger's words, so nothing in them is believed: a name is one of those
offered, a text is only compared, a file is checked like a stranger's. What a tool tells is read as the agent's own
role.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ops_platform.documents.claims import claim
from ops_platform.evidence.quoting import minimise
from ops_platform.evidence.spans import Span, last_complete
from ops_platform.failures import DataFailure, OpsError
from ops_platform.work_orders.agents import development, evidence
from ops_platform.work_orders.agents.readings.repository import matching
from ops_platform.work_orders.agents.scopes import acting_as
from ops_platform.writing.model import Tool, ToolResult

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.evidence.model import Bundle
    from ops_platform.fleet import Fleet
    from ops_platform.work_orders.agents.asking import Asked, Definition
    from ops_platform.work_orders.agents.model import Order
    from ops_platform.work_orders.agents.role import Agent
    from ops_platform.writing.model import ToolCall

RESULT_BYTES = 3_000
ARGUMENT_BYTES = 60_000
MOST_METRICS, MOST_LISTS, MOST_DOCUMENTS = 6, 3, 3
WORDS_LENGTH = 80
_SPANS = ("day", "week", "month")
_READS = {"open_alerts": "alerts", "open_issues": "queue", "check_results": "checks"}
_SEARCH = """
select id, kind, period_end, summary, blocks::text as text from ops.agent_documents
order by period_end desc, id desc limit 200
"""


class Refused(Exception):
    """A call that is not carried out; its words are for the model."""


@dataclass(slots=True)
class Looking:
    """What the tools work on: where they read, and the choice they add to."""

    connection: psycopg.Connection[Any]
    agent: Agent
    order: Order
    fleet: Fleet
    as_of: datetime
    definitions: Mapping[str, Definition]
    asked: Asked
    files: tuple[development.ProposedFile, ...] = ()


def offered(agent: Agent, metrics: Mapping[str, Definition]) -> tuple[Tool, ...]:
    """The tools of the role file that there is something to use with."""
    lists = sorted(agent.listings())
    names = sorted(metrics)
    one_metric = {"type": "string", "enum": names}
    one_list = {"type": "string", "enum": lists}
    words = {"type": "string", "description": f"A few words, at most {WORDS_LENGTH} characters."}
    shapes: dict[str, tuple[str, dict[str, Any], bool]] = {
        "metric_lookup": (
            "One published metric over the last whole day, week or month, with what it is compared with.",
            {"metric": one_metric, "over": {"type": "string", "enum": list(_SPANS)}}, bool(names),
        ),
        "metric_history": ("One metric week by week.", {"metric": one_metric}, bool(names)),
        "evidence_query": ("The rows of one of your lists.", {"list": one_list}, bool(lists)),
        "document_search": ("Published documents that speak of something.", {"words": words},
                            bool(agent.scope.documents)),
        "open_alerts": ("Alerts that are open in your divisions.", {}, "alerts" in agent.scope.readings),
        "open_issues": ("Work orders that are open and due.", {}, "queue" in agent.scope.readings),
        "check_results": ("What real checks reported, against the gates.", {}, "checks" in agent.scope.readings),
        "draft_artefact": ("Hand over one of your lists whole, as a file.", {"list": one_list},
                           bool(lists) and "artefact" in agent.effects.kinds),
        "find_modules": ("Modules of the platform whose own words are near to these.", {"words": words}, True),
        "propose_files": (
            f"Propose files for a branch of its own. Paths: {', '.join(agent.effects.paths)}.",
            {"files": {"type": "array", "items": {
                "type": "object", "additionalProperties": False, "required": ["path", "content"],
                "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            }}}, bool(agent.effects.paths),
        ),
    }  # fmt: skip
    return tuple(
        Tool(name, description, {
            "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
        })
        for name, (description, properties, useful) in shapes.items() if name in agent.tools and useful
    )  # fmt: skip


def run(call: ToolCall, looking: Looking, tools: tuple[Tool, ...]) -> ToolResult:
    """Carry out one call; a refusal and a failure are results, in our words."""
    try:
        told = _run(call, looking, {tool.name: tool for tool in tools})
    except Refused as refused:
        return ToolResult(call.id, str(refused), failed=True)
    except OpsError as error:
        return ToolResult(call.id, f"it could not be read: {minimise(str(error), 200)}", failed=True)
    text = orjson.dumps(told).decode()
    return ToolResult(call.id, text if len(text) <= RESULT_BYTES else text[:RESULT_BYTES] + "… (cut)")


def _run(call: ToolCall, looking: Looking, tools: Mapping[str, Tool]) -> Any:
    tool = tools.get(call.name)
    if tool is None:
        raise Refused(f"there is no such tool; there are {', '.join(tools)}")
    given = _fitting(call.arguments, tool)
    do: dict[str, Callable[[Looking, Mapping[str, Any]], Any]] = {
        "metric_lookup": _metric, "metric_history": _history, "evidence_query": _list, "document_search": _documents,
        "open_alerts": _reading("open_alerts"), "open_issues": _reading("open_issues"),
        "check_results": _reading("check_results"), "draft_artefact": _artefact, "find_modules": _modules,
        "propose_files": _files,
    }  # fmt: skip
    return do[call.name](looking, given)


def _fitting(arguments: Any, tool: Tool) -> Mapping[str, Any]:
    """The arguments, if they are exactly what the tool's schema asks for."""
    properties: Mapping[str, Any] = tool.schema["properties"]
    if not isinstance(arguments, dict) or set(arguments) != set(properties):
        raise Refused(f"its arguments are {', '.join(properties) or 'none'}, and no others")
    try:
        size = len(orjson.dumps(arguments))
    except (TypeError, ValueError):
        raise Refused("its arguments cannot be read") from None
    if size > ARGUMENT_BYTES:
        raise Refused("its arguments are too long")
    for name, shape in properties.items():
        value = arguments[name]
        if shape["type"] == "string" and (not isinstance(value, str) or value != value.replace("\x00", "")):
            raise Refused(f"{name} is a text")
        if "enum" in shape and value not in shape["enum"]:
            raise Refused(f"{name} is one of {', '.join(shape['enum'][:40])}")
        if shape["type"] == "array" and not isinstance(value, list):
            raise Refused(f"{name} is a list")
    return arguments


# Figures --------------------------------------------------------------------------------------------------------


def _metric(looking: Looking, given: Mapping[str, Any]) -> Any:
    name, asked = given["metric"], looking.asked
    _room(name, asked.metrics, MOST_METRICS, "metrics")
    if not asked.metrics:
        asked = _over(asked, given["over"], looking)
    looking.asked = asked.with_metric(name)
    return _looked(_bundle(looking), name)


def _history(looking: Looking, given: Mapping[str, Any]) -> Any:
    name = given["metric"]
    _room(name, looking.asked.metrics, MOST_METRICS, "metrics")
    looking.asked = looking.asked.with_metric(name).with_history(name)
    bundle = _bundle(looking)
    series = bundle.line(f"series_{name}")
    weeks = [] if series is None else [
        {"week_of": point.label, "value": None if point.value is None else str(point.value)} for point in series.points
    ]  # fmt: skip
    return {**_looked(bundle, name), "weeks": weeks}


def _list(looking: Looking, given: Mapping[str, Any]) -> Any:
    name = given["list"]
    if name not in looking.agent.shown():
        _room(name, looking.asked.lists, MOST_LISTS, "lists")
        looking.asked = looking.asked.with_list(name)
    bundle = _bundle(looking)
    rows = [
        {
            **{column: claim(bundle, fact).text for column, fact in row.facts.items()},
            "untrusted": {column: text for column, text in row.texts.items() if not column.startswith(":")},
        }
        for row in bundle.rows(name)
    ]
    return {**_fact(bundle, f"{name}_count"), "rows": rows}


def _artefact(looking: Looking, given: Mapping[str, Any]) -> Any:
    name = given["list"]
    most = looking.agent.effects.caps.artefacts - len(looking.agent.output.artefacts)
    _room(name, looking.asked.artefacts, most, "files")
    looking.asked = looking.asked.with_artefact(name)
    return {"file": name, "handed_over": True}


def _over(asked: Asked, over: str, looking: Looking) -> Asked:
    """The days a first look is over, where the question named none."""
    from dataclasses import replace

    from ops_platform import clock

    if asked.spoken:
        return asked
    today = clock.business_day(looking.as_of, looking.fleet.company.timezone)
    if over == "month":
        return replace(asked, span=last_complete("monthly", today), spoken=True)
    if over == "day":
        day = asked.span.end
        return replace(asked, span=Span("daily", day, day), spoken=True)
    return asked


def _room(name: str, chosen: tuple[str, ...], most: int, what: str) -> None:
    if name not in chosen and len(chosen) >= most:
        raise Refused(f"enough {what} are chosen")


def _looked(bundle: Bundle, metric: str) -> dict[str, Any]:
    """A metric that was looked at, under whatever name its figure stands."""
    rows = (row for row in bundle.rows("asked") if row.texts["metric"] == metric)
    return next((_fact(bundle, row.facts["figure"]) for row in rows), {"known": False})


def _bundle(looking: Looking) -> Bundle:
    return evidence.gather(
        looking.connection, looking.agent, looking.order, looking.asked, looking.fleet, looking.as_of
    ).bundle


def _fact(bundle: Bundle, fact_id: str) -> dict[str, Any]:
    """A fact as a reader will see it."""
    fact = bundle.get(fact_id)
    if fact is None:
        return {"known": False}
    against = {}
    for one in fact.comparisons:
        if one.delta is not None and fact.known:
            path = "delta_pct" if one.delta_pct is not None and fact.unit in ("money", "count") else "delta"
            against[one.label] = claim(bundle, fact.id, f"comparison.{one.name}.{path}").text
    return {
        "label": minimise(fact.label), "value": claim(bundle, fact.id).text, "against": against,
        "period": fact.period.label if fact.period else None, "known": fact.known,
    }  # fmt: skip


# Documents and the platform -------------------------------------------------------------------------------------


def _documents(looking: Looking, given: Mapping[str, Any]) -> Any:
    found = search(looking, given["words"][:WORDS_LENGTH])
    if not found:
        return {"documents": []}
    for number, _, _ in found[: MOST_DOCUMENTS - len(looking.asked.documents)]:
        looking.asked = looking.asked.with_document(number)
    return {
        "documents": [{"number": number, "kind": kind, "untrusted": {"headline": said}} for number, kind, said in found]
    }


def search(looking: Looking, words: str) -> list[tuple[int, str, str]]:
    """Published documents of the agent's scope by how many of the words they hold: number, kind, headline."""
    from ops_platform.evidence.metrics import Warehouse

    wanted = {word.lower() for word in words.split() if len(word) > 3}
    if not wanted or not looking.agent.scope.documents:
        return []
    with looking.connection.transaction():
        looking.connection.execute("set transaction read only")
        with acting_as(looking.connection, looking.agent):
            rows = Warehouse(looking.connection).rows(_SEARCH)
    scored = []
    for row in rows:
        text = row["text"].lower()
        hits = sum(word in text for word in wanted)
        if hits * 2 >= len(wanted):
            scored.append((hits, row["period_end"], row["id"], row["kind"], evidence.headline(row["summary"])))
    scored.sort(reverse=True)
    return [(number, kind, said) for _, _, number, kind, said in scored[:MOST_DOCUMENTS]]


def _reading(tool: str) -> Callable[[Looking, Mapping[str, Any]], Any]:
    """A reading that the answer shows in any case, told to the model."""

    def read(looking: Looking, given: Mapping[str, Any]) -> Any:
        bundle, name = _bundle(looking), _READS[tool]
        return {
            "figures": [_fact(bundle, row.facts["figure"]) for row in bundle.rows(f"reading_figures_{name}")],
            "lines": [
                {"says": row.texts["label"], "state": row.mark, "untrusted": {"about": row.texts["about"]}}
                for row in bundle.rows(f"reading_lines_{name}")
            ],
        }

    return read


def _modules(looking: Looking, given: Mapping[str, Any]) -> Any:
    found = matching(given["words"][:WORDS_LENGTH])
    return {"modules": [{"path": module.path, "says": module.says, "lines": module.lines} for module, _ in found]}


def _files(looking: Looking, given: Mapping[str, Any]) -> Any:
    if looking.files:
        raise Refused("files were proposed already")
    try:
        looking.files, refused = development.checked(looking.agent, given["files"])
    except DataFailure as error:
        raise Refused(str(error)) from None
    if not looking.files:
        raise Refused("; ".join(refused) or "no file was given")
    return {"taken": [each.path for each in looking.files], "refused": refused}

"""A small house for tests: tools that read, write and change a vendor, and playbooks over them.

The vendor is a file in another process's reach: each effect appends a line, so that what was done twice shows, whatever
our own tables say.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from pydantic import Field

from ops_platform.delivery.outbox import enqueue
from ops_platform.failures import AmbiguousFailure, DataFailure, PermanentFailure, TransientFailure
from ops_platform.playbooks.checks import House, plan_of
from ops_platform.playbooks.engine import Machine
from ops_platform.playbooks.plan import Plan
from ops_platform.playbooks.runners.condition import ConditionRunner
from ops_platform.playbooks.runners.tool_call import ToolCallRunner
from ops_platform.playbooks.steps import Runners
from ops_platform.playbooks.tools import StepContext, Tool, Toolbox, ToolInput, ToolOutput

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
ZONE = "America/New_York"


class Customer(ToolOutput):
    name: str
    days: int


class LookInput(ToolInput):
    count: int = Field(default=2, ge=0, le=50, description="How many customers there are.")


class Looked(ToolOutput):
    customers: list[Customer]
    rate: Decimal | None = None
    note: str = ""


class Look(Tool[LookInput, Looked]):
    name, description = "look", "Finds customers."
    Input, Output = LookInput, Looked

    def run(self, given: LookInput, context: StepContext) -> Looked:
        customers = [Customer(name=f"Customer {n}", days=n) for n in range(given.count)]
        return Looked(customers=customers, rate=Decimal("0.2") if given.count else None)


class TellInput(ToolInput):
    text: str


class Wrote(ToolOutput):
    text: str


class Tell(Tool[TellInput, Wrote]):
    """Writes by its transaction: a message in the outbox."""

    name, description = "tell", "Puts a message in the outbox."
    Input, Output, effect = TellInput, Wrote, "writes"

    def run(self, given: TellInput, context: StepContext) -> Wrote:
        # The platform's dedupe key would hide a second message, so the test's has none: each call is one more row.
        enqueue(
            context.connection, kind="test", period=None, channel_key="team", channel="C0TEAM",
            payload={"text": given.text}, dedupe_key=f"{context.key}:{context.attempt}:{time.time_ns()}",
        )  # fmt: skip
        return Wrote(text=given.text)


class OrderInput(ToolInput):
    what: str
    ledger: str = Field(description="The vendor's ledger: a file.")
    ambiguous: bool = False
    blind: bool = Field(default=False, description="The vendor cannot be asked what it did.")


class Order(Tool[OrderInput, Wrote]):
    """Changes a vendor at once. The vendor has no idempotency of its own: what is sent twice is done twice."""

    name, description = "order", "Orders something."
    Input, Output, effect = OrderInput, Wrote, "external"

    def run(self, given: OrderInput, context: StepContext) -> Wrote:
        ledger = Path(given.ledger)

        def do(key: str) -> Any:
            with ledger.open("a") as file:
                file.write(f"{key} {given.what}\n")
            if given.ambiguous and ledger.read_text().count(key) == 1:
                raise AmbiguousFailure("the connection was closed before the answer")
            return {"key": key}

        def look_up(key: str) -> Any:
            done = ledger.exists() and key in ledger.read_text()
            return {"key": key} if done else None

        context.once("order", {"what": given.what}, do, None if given.blind else look_up)
        return Wrote(text=given.what)


class _MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("not even that")


class MisbehaveInput(ToolInput):
    how: str
    seconds: float = 0
    trace: str = ""


class Misbehave(Tool[MisbehaveInput, Wrote]):
    name, description = "misbehave", "Does what tools do on a bad day."
    Input, Output, effect = MisbehaveInput, Wrote, "writes"

    def run(self, given: MisbehaveInput, context: StepContext) -> Wrote:
        if given.trace:
            with Path(given.trace).open("a") as file:
                file.write(f"{context.step} {context.attempt}\n")
        match given.how:
            case "transient":
                raise TransientFailure("away for now")
            case "twice" if context.attempt < 3:
                raise TransientFailure("away for now")
            case "permanent":
                raise PermanentFailure("refused")
            case "crash":
                raise ZeroDivisionError("division by zero")
            case "hang":
                Tell().run(TellInput(text="from a hanging tool"), context)
                time.sleep(given.seconds)
            case "sleep":
                time.sleep(given.seconds)
            case "rubbish":
                return {"text": 1}  # type: ignore[return-value]
            case "unfit":
                return Wrote.model_construct(text=[1, 2])  # type: ignore[arg-type]
            case "huge":
                return Wrote(text="x" * 10_000_000)
            case "half":
                return Wrote(text="half a \udcff character")
            case "round":
                within: list[Any] = []
                within.append(within)
                return Wrote.model_construct(text=within)  # type: ignore[arg-type]
            case "says half":
                raise PermanentFailure("no file of the name \udcff\x00")
            case "says much":
                raise PermanentFailure("no" * 5_000_000)
            case "mute":
                raise _MuteError
            case "exit":
                raise SystemExit(3)
            case "swallow":
                with suppress(psycopg.Error):
                    context.connection.execute("select 1/0")
            case "sql":
                context.connection.execute("select 1/0")
            case "data":
                raise DataFailure("the data does not hold")
            case "commit":
                context.connection.rollback()
        return Wrote(text=given.how)


class Peek(Tool[TellInput, Wrote]):
    """Says that it reads, and writes."""

    name, description = "peek", "Writes where it must not."
    Input, Output = TellInput, Wrote

    def run(self, given: TellInput, context: StepContext) -> Wrote:
        return Tell().run(given, context)


class OutcomeInput(ToolInput):
    unit: str


class Measured(ToolOutput):
    value: Decimal | None


class OutcomeOf(Tool[OutcomeInput, Measured]):
    name, description = "outcome_of", "What came of a unit."
    Input, Output = OutcomeInput, Measured

    def run(self, given: OutcomeInput, context: StepContext) -> Measured:
        return Measured(value=None if given.unit.endswith("?") else Decimal(len(given.unit) % 2))


TOOLS = Toolbox.of(Look(), Tell(), Order(), Misbehave(), Peek(), OutcomeOf())


def house(**more: Any) -> House:
    return House(TOOLS, Runners({"tool_call": ToolCallRunner(), "condition": ConditionRunner(), **more}))


def machine(connect: Any, lines: list[str] | None = None) -> Machine:
    return Machine(connect, house(), ZONE, (lines if lines is not None else []).append)


def playbook(steps: str, head: str = "", version: int = 1, name: str = "demo") -> str:
    """The text of a playbook with these steps (indented as in a file)."""
    return f"id: {name}\nname: A demo\nversion: {version}\nowner: operations_lead\n{head}steps:\n{steps}"


def plan(steps: str, head: str = "", version: int = 1, name: str = "demo") -> Plan:
    return plan_of(playbook(steps, head, version, name), f"{name}.yaml", house())


def call(step_id: str, tool: str, more: str = "", **given: Any) -> str:
    """One tool call as a file has it."""
    import json

    inside = ", ".join(f"{name}: {json.dumps(value)}" for name, value in given.items())
    extra = "".join(f"    {line}\n" for line in more.splitlines())
    return f"  - id: {step_id}\n    type: tool_call\n    tool: {tool}\n    input: {{{inside}}}\n{extra}"


def condition(step_id: str, expression: str, more: str = "") -> str:
    extra = "".join(f"    {line}\n" for line in more.splitlines())
    return f"  - id: {step_id}\n    type: condition\n    if: {expression}\n{extra}"


def statuses(connect: Any, execution: int) -> dict[str, str]:
    with connect() as connection:
        rows = connection.execute(
            "select step_id, status from ops.playbook_steps where execution_id = %s order by place", (execution,)
        )
        return dict(rows.fetchall())


def reasons(connect: Any, execution: int) -> dict[str, str]:
    with connect() as connection:
        rows = connection.execute(
            "select step_id, reason from ops.playbook_steps where execution_id = %s and reason is not null",
            (execution,),
        )
        return dict(rows.fetchall())


def posted(connect: Any) -> list[str]:
    with connect() as connection:
        return [text for (text,) in connection.execute("select payload ->> 'text' from ops.outbox order by 1")]


def pid() -> int:
    return os.getpid()


#: A playbook with a condition, its negation, and what waits for either.
GATED = (
    call("look", "look", count="${{ vars.count }}")
    + condition("any", "steps.look.result.customers.size() > 0")
    + call("tell", "tell", "when: any", text="${{ steps.look.result.customers.size() }} customers, ${{ run.date }}")
    + call("none", "tell", "unless: any", text="Nobody is away.")
    + call("more", "look", "needs: tell")
    + call("last", "tell", "after: [tell, none]", text="said: ${{ steps.tell.status }}, ${{ steps.none.status }}")
)
COUNT = "variables:\n  count: {type: integer, default: 2, minimum: 0}\n"
#: The same, as a scheduler may start it.
HTTP = COUNT + 'triggers: {schedule: "0 9 * * 1-5", http: true}\n'

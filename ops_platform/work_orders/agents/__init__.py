"""The agents that answer work orders: who they are, what they may read, and one answer.

Belongs here: the roster (`agents/<name>.yaml`), scopes, tools, evidence, the output contract, `answer`. Does not belong
here: which order goes to whom (`work_orders.routing`), what becomes of an answer's effects (`work_orders.effects`),
when an agent runs (`jobs/work_orders.py`).

An agent holds no GitHub token and touches nothing outside the warehouse: it returns what it proposes, and a later step
checks and applies that.
"""

from ops_platform.work_orders.agents.answering import answer
from ops_platform.work_orders.agents.model import Answer, Artefact, GivenOrder, Order
from ops_platform.work_orders.agents.role import Agent
from ops_platform.work_orders.agents.roster import find, roster

__all__ = ["Agent", "Answer", "Artefact", "GivenOrder", "Order", "answer", "find", "roster"]

"""Delivery: one message, once.

Belongs here: the transactional outbox, its state machine, posting and the look-up that settles an unclear
post. Does not belong here: what a message says (`ops_platform.documents`), how a vendor is called
(`resources/slack_posting.py`, behind `Poster`).

    enqueue(conn, …)          in the transaction that makes the document: the message exists or it does not
    deliver(connect, poster)  afterwards, as often as you like: posts what is due, looks up what is unclear
"""

from ops_platform.delivery.outbox import OutboxRow, decide, enqueue, find_row, state_counts, undelivered
from ops_platform.delivery.poster import ContentRefused, Lookup, Poster
from ops_platform.delivery.states import Event, IllegalTransitionError, State
from ops_platform.delivery.worker import DeliveryPolicy, DeliveryReport, Posters, deliver

__all__ = [
    "ContentRefused",
    "DeliveryPolicy",
    "DeliveryReport",
    "Event",
    "IllegalTransitionError",
    "Lookup",
    "OutboxRow",
    "Poster",
    "Posters",
    "State",
    "decide",
    "deliver",
    "enqueue",
    "find_row",
    "state_counts",
    "undelivered",
]

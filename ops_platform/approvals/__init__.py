"""Approvals: the one place where people decide what the machine may do.

Belongs here: requests, the exact payloads that were shown, decisions, executing what was approved once. Does not belong
here: what a payload means (each kind's `Subject`), posting (`ops_platform.delivery`), buttons as Slack delivers them
(`resources/slack_interactions.py`).

    inbox.request(connection, …)      something is to be decided: a draft, told in a channel
    inbox.approve(connection, …)      a person's word on exactly the payload that was shown
    execute_approved(connect, inbox)  once, that payload, and the result back in the thread

Nothing in this package approves by itself: a decision needs a `Person`, and only the edges where people are recognised
(a signed press, an account at a terminal) make one. A due date that passes is a refusal.
"""

"""Alerts: what is said when something is to be acted on, and the proof of silence when nothing is.

Belongs here: signals, the state machine of an incident, who decides whether a message is due. Does not belong here:
how a metric is judged (`ops_platform.watch`), how a message looks (`ops_platform.documents`), how it is posted
(`ops_platform.delivery`).
"""

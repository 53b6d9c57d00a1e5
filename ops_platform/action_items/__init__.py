"""Action items: what has to be done, by whom, until when; carried over until somebody says that it is done.

Belongs here: opening, assigning and settling them. Does not belong here: what is a concern (`ops_platform.evidence`),
how they look (`ops_platform.documents.narrative`), anything decided by approval (`ops_platform.approvals`).
"""

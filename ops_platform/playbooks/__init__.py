"""Operational playbooks: workflows a non-programmer reads and changes, executed step by step, once.

Belongs here: what a playbook says (`model.py`), proving it before it runs (`checks.py`), running it (`engine.py`), its
record (`record.py`). Does not belong here: Dagster (`jobs/playbooks.py`), vendors (`resources`), deciding what people
are asked (`ops_platform.approvals`).
"""

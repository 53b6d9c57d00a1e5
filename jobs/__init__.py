"""What runs together: jobs, each a selection of assets with its limits.

Belongs here: selections and tags. Does not belong here: times (`sensors/schedules.py`).
"""

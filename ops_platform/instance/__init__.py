"""The parts of the Dagster instance that are ours: `dagster.yaml` names them.

Belongs here: how a run's process is started, watched and kept apart (`launcher.py`, `worker.py`, `confinement.py`,
`crashes.py`), and stores that keep no credential (`events.py`, `compute_logs.py`). Does not belong here: what runs.
Beside `build.py` this is the one room of `ops_platform` that imports Dagster.
"""

"""What Dagster loads: `workspace.yaml` names this module."""

from __future__ import annotations

from ops_platform.build import build_definitions

defs = build_definitions()

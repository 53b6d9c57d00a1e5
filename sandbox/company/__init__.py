"""The company behind the sandbox: its model, and the generator that fills it from a seed and a clock.

Belongs here: what happened in the company. Does not belong here: any vendor's wording of it.
"""

from __future__ import annotations

from sandbox.company.generate import generate
from sandbox.company.model import Company

__all__ = ["Company", "generate"]

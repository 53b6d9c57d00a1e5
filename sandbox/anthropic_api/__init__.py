"""The Anthropic Messages API as the sandbox speaks it, with a deterministic writer in the model's place.

Belongs here: the protocol and the stub. Does not belong here: what a good answer is.
"""

from __future__ import annotations

from sandbox.anthropic_api.side import SEMANTIC_FAULTS, AnthropicSide
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "AnthropicSide"]


def _mount(around: Surroundings) -> AnthropicSide:
    return AnthropicSide(clock=around.clock, ledger=around.ledger, faults=around.faults, profile=around.options.profile)


SIDE = VendorSide(_mount, ("/v1/",), SEMANTIC_FAULTS)

"""The Anthropic Messages API as the sandbox speaks it, with a deterministic writer in the model's place.

Belongs here: the protocol and the stub. Does not belong here: what a good answer is.
"""

from __future__ import annotations

from sandbox.anthropic_api.side import AnthropicSide

__all__ = ["AnthropicSide"]

"""Writing: from an evidence bundle to text with claim tokens, and the check that lets it through.

Belongs here: the writer seam, the rule-based and the Claude writer, prompts, budgets, the claims check.
Does not belong here: numbers (they come from `ops_platform.evidence`, inserted by `ops_platform.documents`).
"""

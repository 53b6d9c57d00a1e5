"""The watch: what every metric was expected to be, and whether it was.

Belongs here: expected ranges, level shifts, judgements of metrics, scores of plain series, and why a number moved. Does
not belong here: what becomes of a judgement (`ops_platform.alerts`), rules with fixed limits (`alerts/rules.py`).
Nothing heavy is imported by importing this package.
"""

"""NetSuite's SuiteTalk REST as the sandbox speaks it: OAuth 2.0, SuiteQL, records.

Belongs here: the ERP's protocol, its tables, and how the company's trade looks in its books. Does not belong
here: what happened in the company (`sandbox/company`).
"""

from __future__ import annotations

from sandbox.netsuite.side import NetSuiteSide

__all__ = ["NetSuiteSide"]

"""The tools that need nothing but our own database: figures of the app, the shop and the platform.

Belongs here: one module a subject, each with its tools. Does not belong here: tools that ask a vendor (they take what
they need in their constructor), the register (`jobs/toolbox.py`).

Every tool answers as of a moment: what came later is not in its answer. What the warehouse does not know for certain it
gives as None, with since when.
"""

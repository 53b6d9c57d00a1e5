"""Evidence: numbered facts with unit, period, comparison, source and tie-out, frozen before anyone writes.

Belongs here: the model of a fact and a bundle, and the builders that read the warehouse's metric and
evidence relations. Does not belong here: sentences (`ops_platform.writing`), layout
(`ops_platform.documents`), opening connections (`ops_platform.database`).
"""

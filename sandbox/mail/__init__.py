"""A mail server that takes mail and delivers none: submission with STARTTLS and login, refusing as servers do.

Belongs here: the server, its mailboxes, what it accepted. Does not belong here: any client.
"""

from __future__ import annotations

from sandbox.vendor_side import Side, Surroundings, VendorSide


def _mount(around: Surroundings) -> Side:
    from sandbox.mail.side import MailSide

    return MailSide(clock=around.clock, ledger=around.ledger, faults=around.faults, directory=around.directory("mail"))


# Named here as well, so that listing the sides imports no server; a test holds the two together.
_FAULTS = frozenset({"refuse", "drop", "take_then_drop", "late", "no_starttls"})

SIDE = VendorSide(_mount, (), _FAULTS)

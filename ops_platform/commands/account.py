"""Who types a command, as the system knows it.

Belongs here: the account of this process. Does not belong here: who of the company it is and what he may decide
(`ops_platform.approvals.standing`).
"""

from __future__ import annotations

import os
import pwd


def account_here() -> str:
    """The account of this process, as the system knows it; who became root for a moment is still who he was. What the
    environment says of a user, anybody can make it say."""
    number = os.getuid()
    before = os.environ.get("SUDO_USER")
    if number == 0 and before:
        return before
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)

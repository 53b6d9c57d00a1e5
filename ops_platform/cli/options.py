"""Options that several families share.

Belongs here: what has the same words everywhere. Does not belong here: options of one family, which stand in its
module.
"""

from __future__ import annotations

import click

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")
DAY = click.DateTime(["%Y-%m-%d"])

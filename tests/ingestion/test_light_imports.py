"""Reading and landing import no more than they need: what else a process holds, it holds for something else.

Belongs here: that one rule. Does not belong here: how much it saves (`make bench`).
"""

from __future__ import annotations

import subprocess
import sys


def test_the_loader_and_a_client_bring_no_settings() -> None:
    code = (
        "import sys\n"
        "import ops_platform.ingestion.sync, ops_platform.database, resources.shopify, resources.vendors\n"
        "import resources.http_transport\n"
        "heavy = {'pydantic', 'pydantic_settings', 'dagster', 'rich', 'click', 'yaml', 'pandas', 'numpy'}\n"
        "heavy |= {'httpx', 'requests'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""`python -m sandbox`: the command line of the vendors' side.

Belongs here: reading arguments. Does not belong here: anything they start (`server.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sandbox.clock import parse_instant
from sandbox.options import PROFILES, Options

_EXAMPLES = """examples:
  python -m sandbox --port 8765 --clock 2026-11-20T06:00:00-05:00 --state .ops/sandbox
      the generated company on http://127.0.0.1:8765, as it stood at that moment
  python -m sandbox --port 0 --port-file .ops/sandbox.port --clock 2026-11-20T06:00:00-05:00 --state .ops/sandbox
      any free port; the file appears, holding it, once the sandbox is ready
  python -m sandbox --orders online_retail.csv.gz --clock 2011-12-10T06:00:00+00:00 --state /tmp/shop
      a shop's own history served as Shopify orders
  curl -s http://127.0.0.1:8765/_sandbox/environment
      the settings that point the product at it
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="The vendors' side on the loopback interface: Shopify, NetSuite, Slack and Anthropic on one port.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    add("--port-file", type=Path, help="write the port here once ready")
    add("--seed", type=int, default=7, help="which company is generated (default 7)")
    add("--clock", required=True, help="the moment it shows, ISO with offset: 2026-11-20T06:00:00-05:00")
    add("--ticking", action="store_true", help="let the clock run on from there (default: it stands still)")
    add("--orders", type=Path, help="serve this CSV of order lines (.csv or .csv.gz) instead")
    add("--state", type=Path, required=True, help="directory of the ledger and keys; survives restarts")
    add("--profile", choices=PROFILES, default="generous", help="the vendors' rate limits (default generous)")
    add("--netsuite-key", choices=("rsa", "ec"), default="rsa", help="kind of key to make when there is none")
    add("--warm", action="store_true", help="once ready, make at once what is otherwise made when first asked for")
    add("--parent-pid", type=int, help="end when this process ends")
    return parser


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        clock = parse_instant(given.clock)
    except ValueError as error:
        parser.error(f"--clock: {error}")
    if given.orders is not None and not given.orders.is_file():
        parser.error(f"--orders: there is no file {given.orders}")
    options = Options(**{**vars(given), "clock": clock})
    # Imported late, so that --help and wrong use answer at once.
    from sandbox.ledger import StateInUse
    from sandbox.server import Sandbox, run

    def announce(sandbox: Sandbox) -> None:
        counted = f"{len(sandbox.company.orders):,} orders"
        print(f"sandbox ready on {sandbox.url} ({sandbox.company.source} company, {counted})", flush=True)

    try:
        return run(options, announce)
    except StateInUse as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1


def _end(code: int) -> None:
    """End at once: letting go of the company, hundreds of thousands of objects, one by one takes a second or two."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())

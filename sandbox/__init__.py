"""The vendors' side: Shopify, NetSuite, Slack and Anthropic on one loopback port, for the demo and the tests.

Belongs here: what vendors answer, and the company they answer about. Does not belong here: anything of the
product, which never imports this package, nor is imported by it. `python -m sandbox --help` starts it.

    company/        what happened in the company; no vendor's wording
    orders_csv.py   the same from a file of order lines
    shopify/ netsuite/ slack/ anthropic_api/    one vendor each: protocol, limits, refusals
    server.py gate.py control.py                one process: assembling, the way in, the control API
    ledger.py faults.py clock.py                what was served, what goes wrong on purpose, what time it is
"""

"""The real shop's CSV as Shopify order payloads, in the shape the connector lands them.

Belongs here: the mapping from a CSV row to a raw payload, for tests that start behind the connector. Does
not belong here: HTTP (the sandbox serves the same file over it) and any expected number.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")

# Names of the file that are not the ISO name; None has no ISO code.
COUNTRY_CODES: dict[str, str | None] = {
    "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Brazil": "BR", "Canada": "CA",
    "Channel Islands": "GG", "Cyprus": "CY", "Czech Republic": "CZ", "Denmark": "DK", "EIRE": "IE",
    "European Community": None, "Finland": "FI", "France": "FR", "Germany": "DE", "Greece": "GR",
    "Hong Kong": "HK", "Iceland": "IS", "Israel": "IL", "Italy": "IT", "Japan": "JP", "Lebanon": "LB",
    "Lithuania": "LT", "Malta": "MT", "Netherlands": "NL", "Norway": "NO", "Poland": "PL", "Portugal": "PT",
    "RSA": "ZA", "Saudi Arabia": "SA", "Singapore": "SG", "Spain": "ES", "Sweden": "SE", "Switzerland": "CH",
    "USA": "US", "United Arab Emirates": "AE", "United Kingdom": "GB", "Unspecified": None,
}  # fmt: skip


def money(amount: Decimal) -> dict[str, Any]:
    """A `MoneyBag` as the connector keeps it."""
    return {"shopMoney": {"amount": f"{amount:f}", "currencyCode": "GBP"}}


def read_invoices(path: Path) -> dict[str, list[dict[str, str]]]:
    """The file's rows grouped by invoice, in file order."""
    invoices: dict[str, list[dict[str, str]]] = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            invoices.setdefault(row["InvoiceNo"], []).append(row)
    return invoices


def order_payloads(path: Path) -> Iterator[dict[str, Any]]:
    """One order per invoice; a C-invoice is a cancelled order with negative quantities."""
    line_id = 0
    for number, (name, rows) in enumerate(read_invoices(path).items(), start=1):
        local = min(datetime.fromisoformat(row["InvoiceDate"]) for row in rows).replace(tzinfo=LONDON)
        moment = local.astimezone(ZoneInfo("UTC")).isoformat().replace("+00:00", "Z")
        cancelled = name.startswith("C")
        code = COUNTRY_CODES[rows[0]["Country"]]
        customer = next((row["CustomerID"] for row in rows if row["CustomerID"]), None)
        lines, total = [], Decimal(0)
        for row in rows:
            line_id += 1
            quantity, price = int(row["Quantity"]), Decimal(row["UnitPrice"])
            total += quantity * price
            lines.append(
                {
                    "id": f"gid://shopify/LineItem/{line_id}",
                    "title": row["Description"] or row["StockCode"],
                    "sku": row["StockCode"],
                    "quantity": quantity,
                    "currentQuantity": quantity,
                    "unfulfilledQuantity": 0,
                    "requiresShipping": True,
                    "isGiftCard": False,
                    "product": {"id": f"gid://shopify/Product/{row['StockCode']}"},
                    "variant": {"id": f"gid://shopify/ProductVariant/{row['StockCode']}"},
                    "originalUnitPriceSet": money(price),
                    "originalTotalSet": money(quantity * price),
                    "discountAllocations": [],
                }
            )
        yield {
            "id": f"gid://shopify/Order/{number}",
            "name": name,
            "createdAt": moment,
            "processedAt": moment,
            "updatedAt": moment,
            "cancelledAt": moment if cancelled else None,
            "cancelReason": "CUSTOMER" if cancelled else None,
            "closedAt": moment,
            "test": False,
            "currencyCode": "GBP",
            "displayFinancialStatus": "PAID",
            "displayFulfillmentStatus": "FULFILLED",
            "sourceName": "web",
            "tags": [],
            "taxesIncluded": False,
            "customer": {"id": f"gid://shopify/Customer/{customer.split('.')[0]}"} if customer else None,
            "shippingAddress": {"countryCodeV2": code, "provinceCode": None} if code else None,
            "billingAddress": {"countryCodeV2": code} if code else None,
            "discountCodes": [],
            "subtotalPriceSet": money(total),
            "totalPriceSet": money(total),
            "totalDiscountsSet": money(Decimal(0)),
            "totalTaxSet": money(Decimal(0)),
            "totalShippingPriceSet": money(Decimal(0)),
            "currentTotalPriceSet": money(total),
            "netPaymentSet": money(total),
            "fulfillments": [],
            "lineItems": lines,
            "refunds": [],
        }

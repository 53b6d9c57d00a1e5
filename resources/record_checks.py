"""What every connector asks of a record before it may land: an id, times, money, currency, size.

Belongs here: checks that mean the same for every vendor, and the reasons a record is refused for. Does
not belong here: which fields a vendor's record has (`resources/<vendor>.py`), storing what was refused
(`ops_platform.ingestion.quarantine`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import orjson

from ops_platform.records import Rejected

LARGEST_PAYLOAD = 8 * 1024 * 1024

MISSING_ID = "missing_id"
MISSING_FIELD = "missing_field"
NULL_MONEY = "null_money"
INVALID_MONEY = "invalid_money"
INVALID_NUMBER = "invalid_number"
UNKNOWN_CURRENCY = "unknown_currency"
INVALID_TIMESTAMP = "invalid_timestamp"
INVALID_SHAPE = "invalid_shape"
OVERSIZED = "oversized"

# ISO 4217 currencies in circulation (no funds, metals or test codes), as of 2026, plus three currencies
# withdrawn lately (HRK, BGN, ANG) that stand in the history of living shops.
_CURRENCIES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ
GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP
LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB
PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL
THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR
ZMW ZWG
"""
CURRENCIES = frozenset(_CURRENCIES.split())

_DECIMAL = re.compile(r"-?\d{1,60}(?:\.\d{1,60})?(?:[eE][+-]?\d{1,3})?")
# Texts found to be decimal numbers. Prices repeat; a set look-up is several times cheaper than the pattern.
known_amounts: set[str] = set()
_KNOWN_AMOUNTS_KEPT = 50_000


class Flaw(Exception):
    """A record cannot land as it is: `reason` is a short machine name, `detail` a sentence for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def rejected(raw: Any, flaw: Flaw, identity: str | None = None) -> Rejected:
    """The refused record as the loader wants it; `raw` is the decoded vendor object."""
    try:
        text = orjson.dumps(raw, default=str).decode()
    except (TypeError, ValueError):
        text = ascii(raw)
    return Rejected(flaw.reason, flaw.detail, text, identity)


def text_id(value: Any, where: str = "id") -> str:
    """A non-empty id as text, or `Flaw`."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Flaw(MISSING_ID, f"{where} is {value!r}")


def decimal_text(value: Any, where: str, reason: str = INVALID_NUMBER) -> None:
    """`value` must be a decimal number written as text, or `Flaw`."""
    if not is_decimal(value):
        raise Flaw(reason, f"{where} is {_shown(value)}, not a decimal number as text")


def is_decimal(value: Any) -> bool:
    """Whether `value` is a decimal number written as text."""
    if not isinstance(value, str):
        return False
    if value in known_amounts:
        return True
    if _DECIMAL.fullmatch(value) is None:
        return False
    if len(known_amounts) >= _KNOWN_AMOUNTS_KEPT:
        known_amounts.clear()
    known_amounts.add(value)
    return True


def currency(value: Any, where: str) -> None:
    """`value` must be an ISO 4217 code in use, or `Flaw`."""
    if not isinstance(value, str) or value not in CURRENCIES:
        raise Flaw(UNKNOWN_CURRENCY, f"{where} is {_shown(value)}, not an ISO 4217 code in use")


def moment(value: Any, where: str) -> datetime:
    """An ISO 8601 time with a zone, or `Flaw`."""
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if parsed.tzinfo is not None and 1900 < parsed.year < 2200:
                return parsed
    raise Flaw(INVALID_TIMESTAMP, f"{where} is {_shown(value)}, not a time with a zone")


def utc_text(at: datetime) -> str:
    """A moment as the cursors write it: UTC, whole seconds, `2026-11-20T11:00:00Z`; sorts as text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def small_enough(size: int) -> None:
    if size > LARGEST_PAYLOAD:
        raise Flaw(OVERSIZED, f"{size:,} bytes, more than the {LARGEST_PAYLOAD:,} that a record may have")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

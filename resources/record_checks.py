"""What every connector asks of a record before it may land: an id, times, money, currency, size.

Belongs here: checks that mean the same for every vendor, and the reasons a record is refused for. Does
not belong here: which fields a vendor's record has (`resources/<vendor>.py`), storing what was refused
(`ops_platform.ingestion.quarantine`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from ops_platform.records import Rejected

LARGEST_PAYLOAD = 8 * 1024 * 1024
LARGEST_BIGINT = 2**63 - 1
LARGEST_INT = 2**31 - 1

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

# ASCII digits alone: PostgreSQL reads no others.
_DECIMAL = re.compile(r"-?\d{1,60}(?:\.\d{1,60})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_COMMON = 60
# The first texts found to be decimal numbers: those that every record has ("0.00") are among them. More of them would
# be found a little faster than they are looked through, and take megabytes.
known_amounts: set[str] = set()
_KNOWN_AMOUNTS_KEPT = 1_024


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


def whole_number(text: str, where: str) -> int:
    """What decimal text says, where that is a whole number that a bigint holds, or `Flaw`."""
    decimal_text(text, where)
    number = Decimal(text)
    if number != number.to_integral_value() or abs(number) > LARGEST_BIGINT:
        raise Flaw(INVALID_NUMBER, f"{where} is {_shown(text)}, not a whole number that can be")
    return int(number)


def is_decimal(value: Any) -> bool:
    """Whether `value` is a decimal number written as text."""
    if not isinstance(value, str):
        return False
    if value in known_amounts:
        return True
    whole, _, fraction = value.partition(".")
    # What nearly every amount looks like is told more cheaply than by the pattern.
    common = fraction.isdigit() and whole.isdigit() and value.isascii() and len(value) <= _LONGEST_COMMON
    if not common and _DECIMAL.fullmatch(value) is None:
        return False
    if len(known_amounts) < _KNOWN_AMOUNTS_KEPT:
        known_amounts.add(value)
    return True


def currency(value: Any, where: str) -> None:
    """`value` must be an ISO 4217 code in use, or `Flaw`."""
    if not isinstance(value, str) or value not in CURRENCIES:
        raise Flaw(UNKNOWN_CURRENCY, f"{where} is {_shown(value)}, not an ISO 4217 code in use")


def moment(value: Any, where: str) -> datetime:
    """An ISO 8601 time with a zone, as PostgreSQL reads it too, or `Flaw`."""
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            offset = parsed.utcoffset()
            known = offset is not None and abs(offset) < _LARGEST_OFFSET
            if known and 1900 < parsed.year < 2200 and _reads_the_same(value):
                return parsed
    raise Flaw(INVALID_TIMESTAMP, f"{where} is {_shown(value)}, not a time with a zone")


# PostgreSQL reads no zone further from UTC.
_LARGEST_OFFSET = timedelta(hours=16)


def _reads_the_same(text: str) -> bool:
    """Whether PostgreSQL reads a time or a day that Python has read: weeks, commas and other marks it does not know."""
    return text[4] == text[7] == "-" and (len(text) == 10 or (text[10] in "T " and text[13] == ":" and "," not in text))


def day(value: Any, where: str) -> None:
    """`value` must be a day as YYYY-MM-DD, or `Flaw`."""
    try:
        if len(value) == 10 and date.fromisoformat(value) and _reads_the_same(value):
            return
    except (TypeError, ValueError):
        pass
    raise Flaw(INVALID_TIMESTAMP, f"{where} is {_shown(value)}, not YYYY-MM-DD")


def local_time(value: Any, where: str) -> None:
    """`value` must be a time without a zone as YYYY-MM-DDTHH:MM:SS, or `Flaw`."""
    try:
        if len(value) == 19 and datetime.fromisoformat(value).tzinfo is None and _reads_the_same(value):
            return
    except (TypeError, ValueError):
        pass
    raise Flaw(INVALID_TIMESTAMP, f"{where} is {_shown(value)}, not YYYY-MM-DDTHH:MM:SS")


# -- what may be absent and must be right where it is there: a column of SQL stands on it ----------------------


def optional_moments(item: Mapping[str, Any], where: str, *keys: str) -> None:
    for key in keys:
        value = item.get(key)
        if value is not None:
            moment(value, _place(where, key))


def optional_integers(item: Mapping[str, Any], where: str, *keys: str, most: int = LARGEST_BIGINT) -> None:
    """Whole numbers that a bigint holds, or the smaller `most`."""
    for key in keys:
        value = item.get(key)
        if value is not None and not is_integer(value, most):
            raise Flaw(INVALID_NUMBER, f"{_place(where, key)} is {_shown(value)}, not a whole number that can be")


def optional_flags(item: Mapping[str, Any], where: str, *keys: str) -> None:
    for key in keys:
        value = item.get(key)
        if value is not None and value is not True and value is not False:
            raise Flaw(INVALID_SHAPE, f"{_place(where, key)} is {_shown(value)}, neither true nor false")


def optional_lists(item: Mapping[str, Any], where: str, *keys: str) -> None:
    for key in keys:
        value = item.get(key)
        if value is not None and not isinstance(value, list):
            raise Flaw(INVALID_SHAPE, f"{_place(where, key)} is {_shown(value)}, not a list")


def is_integer(value: Any, most: int = LARGEST_BIGINT) -> bool:
    """Whether `value` is a whole number within ±`most`."""
    # The type itself: what JSON has as true or false is a number to Python, too.
    return type(value) is int and -most <= value <= most


def utc_text(at: datetime) -> str:
    """A moment as the cursors write it: UTC, whole seconds, `2026-11-20T11:00:00Z`; sorts as text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def small_enough(size: int) -> None:
    if size > LARGEST_PAYLOAD:
        raise Flaw(OVERSIZED, f"{size:,} bytes, more than the {LARGEST_PAYLOAD:,} that a record may have")


def _place(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

"""Who buys: names, where they live, what tax they pay. Belongs here: the buyers' side of master data."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from datetime import datetime
from random import Random

from sandbox.company.chance import cumulative
from sandbox.company.model import Address

_FIRST = (
    "Maya", "Ethan", "Olivia", "Liam", "Sofia", "Noah", "Ava", "Lucas", "Zoë", "Mateo", "Chloé", "Jamal", "Ingrid",
    "Søren", "Björk", "Łukasz", "José", "Anaïs", "محمد", "שירה", "葵", "Владимир", "Priya", "Kwame", "Aisha", "Tom",
    "Grace", "Henry", "Nina", "Oscar", "Ruth", "Sam", "Tara", "Uma", "Victor", "Wendy", "Xavier", "Yara", "Zane",
)  # fmt: skip
_LAST = (
    "Carter", "Nguyen", "O'Brien", "García", "Müller", "Kowalski", "Haddad", "Cohen", "田中", "Петров", "Smith",
    "Johnson", "Lee", "Brown", "Davis", "Martínez", "Jensen", "van Dijk", "D'Angelo", "Okafor", "Patel", "Khan",
    "Rossi", "Dubois", "Lindqvist", "Novák", "Silva", "Ibrahim", "Yılmaz", "Walker", "Young", "King", "Wright",
)  # fmt: skip

# country, province, city, weight, tax in basis points
_PLACES: tuple[tuple[str, str | None, str, float, int], ...] = (
    ("US", "CA", "Los Angeles", 10.5, 950), ("US", "NY", "Brooklyn", 8.0, 888), ("US", "TX", "Houston", 7.0, 825),
    ("US", "FL", "Miami", 5.0, 700), ("US", "WA", "Seattle", 4.0, 1025), ("US", "IL", "Chicago", 4.0, 1025),
    ("US", "MA", "Boston", 3.5, 625), ("US", "NJ", "Hoboken", 3.5, 663), ("US", "PA", "Philadelphia", 3.0, 800),
    ("US", "OR", "Portland", 2.5, 0), ("US", "CO", "Denver", 2.5, 881), ("US", "GA", "Atlanta", 2.5, 890),
    ("US", "NC", "Raleigh", 2.0, 725), ("US", "AZ", "Phoenix", 2.0, 860), ("US", "MI", "Detroit", 2.0, 600),
    ("US", "OH", "Columbus", 2.0, 750), ("US", "VA", "Arlington", 2.0, 600), ("US", "MN", "St. Paul", 1.5, 788),
    ("CA", "ON", "Toronto", 4.0, 1300), ("CA", "BC", "Vancouver", 2.5, 1200), ("GB", "ENG", "London", 6.0, 2000),
    ("GB", "SCT", "Glasgow", 1.5, 2000), ("DE", None, "Berlin", 4.0, 1900), ("FR", None, "Lyon", 2.5, 2000),
    ("NL", None, "Utrecht", 2.0, 2100), ("SE", None, "Malmö", 1.0, 2500), ("ES", "M", "Madrid", 1.2, 2100),
    ("IT", "MI", "Milano", 1.2, 2200), ("IE", None, "Cork", 0.8, 2300), ("AU", "NSW", "Sydney", 2.0, 1000),
    ("JP", "JP-13", "東京", 0.8, 1000), ("AE", None, "دبي", 0.7, 500), ("IL", None, "תל אביב", 0.5, 1700),
)  # fmt: skip
_EVERYWHERE = cumulative([place[3] for place in _PLACES])
_AT_HOME = cumulative([place[3] if place[0] == "US" else 0.0 for place in _PLACES])
_TAX = {(country, province): rate for country, province, _, _, rate in _PLACES}

WEST = frozenset({"CA", "WA", "OR", "CO", "AZ"})
EUROPE = frozenset({"DE", "FR", "NL", "SE", "ES", "IT", "IE"})

_TAGS = ("newsletter", "vip ⭐", "عميل مميز", "לקוח", "refer-a-friend", "student")


@dataclass(slots=True)
class Person:
    """A customer in the making; `orders` and `spent_cents` stand at the generator's present."""

    number: int
    first: str
    last: str
    email: str | None
    address: Address
    tags: tuple[str, ...]
    created: datetime
    updated: datetime
    orders: int = 0
    spent_cents: int = 0


def address(rng: Random, *, at_home: bool) -> Address:
    country, province, city, _, _ = _PLACES[bisect(_AT_HOME if at_home else _EVERYWHERE, rng.random())]
    code = f"{int(rng.random() * 90000) + 10000}" if country == "US" else None
    return Address(country, province, city, code)


def tax_rate(where: Address | None) -> int:
    """Basis points; nothing where the place is unknown."""
    return 0 if where is None else _TAX.get((where.country, where.province), 0)


def person(rng: Random, number: int, where: Address, at: datetime, *, with_email: bool) -> Person:
    first = _FIRST[int(rng.random() * len(_FIRST))]
    last = _LAST[int(rng.random() * len(_LAST))]
    tags = (_TAGS[int(rng.random() * len(_TAGS))],) if rng.random() < 0.25 else ()
    email = f"buyer{number}@mail.example" if with_email else None
    return Person(number, first, last, email, where, tags, at, at)

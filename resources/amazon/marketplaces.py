"""Amazon's stores: where each is served, in which zone its days begin, and in which currency it sells.

Belongs here: that table, as Amazon publishes it. Does not belong here: anything of one seller.
"""

from __future__ import annotations

from dataclasses import dataclass

HOSTS = {
    "na": "https://sellingpartnerapi-na.amazon.com",
    "eu": "https://sellingpartnerapi-eu.amazon.com",
    "fe": "https://sellingpartnerapi-fe.amazon.com",
}


@dataclass(frozen=True, slots=True)
class Marketplace:
    """`zone` is the IANA zone of the store's business day: that of Amazon's own sales figures, never UTC."""

    id: str
    country: str
    region: str
    zone: str
    currency: str


MARKETPLACES = {
    marketplace.id: marketplace
    for marketplace in (
        Marketplace("ATVPDKIKX0DER", "US", "na", "America/Los_Angeles", "USD"),
        Marketplace("A2EUQ1WTGCTBG2", "CA", "na", "America/Los_Angeles", "CAD"),
        Marketplace("A1AM78C64UM0Y8", "MX", "na", "America/Los_Angeles", "MXN"),
        Marketplace("A2Q3Y263D00KWC", "BR", "na", "America/Sao_Paulo", "BRL"),
        Marketplace("A1F83G8C2ARO7P", "GB", "eu", "Europe/London", "GBP"),
        Marketplace("A1PA6795UKMFR9", "DE", "eu", "Europe/Berlin", "EUR"),
        Marketplace("A13V1IB3VIYZZH", "FR", "eu", "Europe/Paris", "EUR"),
        Marketplace("APJ6JRA9NG5V4", "IT", "eu", "Europe/Rome", "EUR"),
        Marketplace("A1RKKUPIHCS9HS", "ES", "eu", "Europe/Madrid", "EUR"),
        Marketplace("A1805IZSGTT6HS", "NL", "eu", "Europe/Amsterdam", "EUR"),
        Marketplace("AMEN7PMS3EDWL", "BE", "eu", "Europe/Brussels", "EUR"),
        Marketplace("A28R8C7NBKEWEA", "IE", "eu", "Europe/Dublin", "EUR"),
        Marketplace("A2NODRKZP88ZB9", "SE", "eu", "Europe/Stockholm", "SEK"),
        Marketplace("A1C3SOZRARQ6R3", "PL", "eu", "Europe/Warsaw", "PLN"),
        Marketplace("A33AVAJ2PDY3EV", "TR", "eu", "Europe/Istanbul", "TRY"),
        Marketplace("AE08WJ6YKNBMC", "ZA", "eu", "Africa/Johannesburg", "ZAR"),
        Marketplace("ARBP9OOSHTCHU", "EG", "eu", "Africa/Cairo", "EGP"),
        Marketplace("A17E79C6D8DWNP", "SA", "eu", "Asia/Riyadh", "SAR"),
        Marketplace("A2VIGQ35RCS4UG", "AE", "eu", "Asia/Dubai", "AED"),
        Marketplace("A21TJRUUN4KGV", "IN", "eu", "Asia/Kolkata", "INR"),
        Marketplace("A1VC38T7YXB528", "JP", "fe", "Asia/Tokyo", "JPY"),
        Marketplace("A39IBJ37TRP1C6", "AU", "fe", "Australia/Sydney", "AUD"),
        Marketplace("A19VAU5U5O7RUS", "SG", "fe", "Asia/Singapore", "SGD"),
    )
}

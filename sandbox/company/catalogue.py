"""What the company has before anything happens: shop, suppliers, locations, products, discounts, people.

Belongs here: master data, the same for every clock. Does not belong here: orders, stock, messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.company.chance import money, stream
from sandbox.company.model import (
    Address,
    BusinessCustomer,
    Location,
    Product,
    Shop,
    SlackChannel,
    Supplier,
    User,
    Variant,
)

ZONE = ZoneInfo("America/New_York")
FIRST_DAY = date(2024, 11, 1)
"""The first day of trade that is kept. The history is two years and some weeks at the usual clock."""

_BEFORE = datetime(2023, 3, 6, 14, 0, tzinfo=UTC)

SHOP = Shop(
    id=70_418_661_000,
    name="Northbeam Audio",
    myshopify_domain="demo-shop.myshopify.com",
    currency="USD",
    timezone="America/New_York",
    country="US",
    email="ops@northbeam.example",
    created_at=_BEFORE,
)

SUPPLIERS = (
    Supplier(11, "Lumitek", "Shenzhen Lumitek Electronics Co., Ltd.", "CN", "Shenzhen", "Asia/Shanghai", "USD",
             30, "C0FSZ", True, _BEFORE),
    Supplier(12, "Haoyu", "Dongguan Haoyu Acoustics Co., Ltd.", "CN", "Dongguan", "Asia/Shanghai", "USD",
             45, "C0FDG", True, _BEFORE),
    Supplier(13, "Qianhe", "Ningbo Qianhe Plastics & Cable Co., Ltd.", "CN", "Ningbo", "Asia/Shanghai", "USD",
             21, "C0FNB", True, _BEFORE),
    Supplier(14, "Jing Yi", "Taoyuan Jing Yi Precision Inc. 精儀", "TW", "Taoyuan", "Asia/Taipei", "USD",
             14, "C0FTW", True, _BEFORE),
)  # fmt: skip


def _location(
    number: int, name: str, kind: str, address: Address, *, active: bool = True, online: bool = True
) -> Location:
    updated = datetime(2025, 2, 3, 16, 30, tzinfo=UTC) if not active else _BEFORE + timedelta(days=number)
    return Location(80_000_000_000 + number, name, kind, address, active, online, _BEFORE, updated)


NEWARK = _location(1, "Newark DC", "warehouse", Address("US", "NJ", "Newark", "07114"))
RENO = _location(2, "Reno DC", "warehouse", Address("US", "NV", "Reno", "89506"))
VENLO = _location(3, "Venlo 3PL", "partner_warehouse", Address("NL", None, "Venlo", "5928 RH"))
DAVENTRY = _location(4, "Daventry 3PL", "partner_warehouse", Address("GB", "ENG", "Daventry", "NN11 8NF"))
FBA = _location(5, "Amazon FBA", "marketplace", Address("US", "KY", "Hebron", "41048"))
SOHO = _location(6, "SoHo Store", "store", Address("US", "NY", "New York", "10012"), online=False)
AUSTIN = _location(7, "Austin Store", "store", Address("US", "TX", "Austin", "78704"), online=False)
RETURNS = _location(8, "Returns Centre", "returns", Address("US", "PA", "Allentown", "18109"), online=False)
CONSOLIDATION = _location(
    9, "Shenzhen Consolidation", "consolidation", Address("CN", "GD", "Shenzhen", "518103"), online=False
)
OLD_WAREHOUSE = _location(
    10, "Edison Warehouse (closed)", "warehouse", Address("US", "NJ", "Edison", "08817"), active=False, online=False
)
LOCATIONS = (NEWARK, RENO, VENLO, DAVENTRY, FBA, SOHO, AUSTIN, RETURNS, CONSOLIDATION, OLD_WAREHOUSE)

SHARES: tuple[tuple[Location, float], ...] = (
    (NEWARK, 0.42), (RENO, 0.25), (VENLO, 0.08), (DAVENTRY, 0.06), (FBA, 0.13), (SOHO, 0.03), (AUSTIN, 0.03),
)  # fmt: skip
"""How stock is spread over the locations that sell."""


@dataclass(frozen=True, slots=True)
class Demand:
    """How one SKU sells and how well it is planned. `care` scales the planner's safety; below 1 it runs short."""

    variant: Variant
    title: str
    price_cents: int
    cost_cents: int
    popularity: float
    care: float


# title, kind, sku stem, options with the suffixes of their SKUs, price, cost, supplier, popularity of the family
_FAMILIES: tuple[tuple[str, str, str, str, int, int, int, float], ...] = (
    ("Beam Buds Pro", "Earbuds", "NB-BUDP", "Black:BLK, White:WHT, Sage:SGE", 14900, 4620, 12, 13),
    ("Beam Buds Lite", "Earbuds", "NB-BUDL", "Black:BLK, White:WHT, Coral:CRL", 7900, 2310, 12, 11),
    ("Arc One Headphones", "Headphones", "NB-ARC1", "Black:BLK, Sand:SND, Blue:BLU", 24900, 8150, 12, 5.5),
    ("Arc Studio Headphones", "Headphones", "NB-ARCS", "Black:BLK, Silver:SLV", 37900, 13240, 12, 2.0),
    ("Drift Mini Speaker", "Speakers", "NB-DRFM", "Black:BLK, Red:RED, Teal:TEA", 5900, 1840, 11, 8),
    ("Drift Speaker", "Speakers", "NB-DRFT", "Black:BLK, Teal:TEA", 12900, 4210, 11, 6),
    ("Drift Max Party Speaker 🔊", "Speakers", "NB-DRFX", "Black:BLK", 29900, 11160, 11, 1.6),
    ("Halo Desk Lamp 🌙", "Lighting", "NB-HALO", "White:WHT, Graphite:GRA", 8900, 2730, 11, 5),
    ("Halo Bedside — مصباح هالو", "Lighting", "NB-HALB", "Warm:WRM, Cool:COL", 6400, 1960, 11, 3),
    ("Pulse 10K Power Bank", "Power", "NB-PW10", "Black:BLK, White:WHT", 4900, 1620, 11, 7),
    ("Pulse 26K Power Bank", "Power", "NB-PW26", "Black:BLK", 9900, 3480, 11, 4),
    ("Pulse 65W GaN Charger", "Power", "NB-GN65", "US:US, EU:EU, UK:UK", 5400, 1510, 13, 7),
    ("Pulse 140W GaN Charger ⚡", "Power", "NB-GN14", "US:US, EU:EU", 11900, 3620, 13, 3),
    ("Braid USB-C Cable", "Cables", "NB-CBLC", "1 m:1M, 2 m:2M, 3 m:3M", 1900, 310, 13, 12),
    ("Braid HDMI 2.1 Cable", "Cables", "NB-HDMI", "2 m:2M, 5 m:5M", 2900, 620, 13, 3),
    ("Port 8-in-1 Hub", "Accessories", "NB-HUB8", "Grey:GRY, Midnight:MID", 8900, 2940, 14, 5),
    ("Port Thunder Dock", "Accessories", "NB-DOCK", "Grey:GRY", 27900, 10480, 14, 1.4),
    ("Clear 4K Webcam", "Video", "NB-CAM4", "Black:BLK, White:WHT", 16900, 5720, 14, 3),
    ("Voice USB Microphone", "Audio", "NB-MICU", "Black:BLK, White:WHT, Pink 🎀:PNK", 13900, 4480, 14, 4),
    ("Keys Low Keyboard", "Input", "NB-KEYL", "US:US, UK:UK, DE:DE", 12900, 4390, 14, 4.5),
    ("Glide Mouse", "Input", "NB-GLDM", "Black:BLK, White:WHT", 6900, 2110, 14, 4.5),
    ("Tag Finder", "Accessories", "NB-TAGF", "1 pack:1PK, 4 pack:4PK", 2900, 760, 13, 9),
    ("Fold Travel Stand", "Accessories", "NB-FOLD", "Grey:GRY, Rose:RSE", 3900, 920, 13, 3),
    ("Sleeve 14″ לפטופ", "Accessories", "NB-SLV1", "Olive:OLV, Navy:NAV", 3400, 740, 13, 2),
    ("Slate E-Note Tablet", "Tablets", "NB-SLTE", "Grey:GRY, White:WHT", 39900, 15890, 14, 1.2),
    ("Wave Smart Watch", "Wearables", "NB-WAVE", "40 mm:40, 44 mm:44", 22900, 7860, 11, 3.2),
    ("Watch Band", "Wearables", "NB-BAND", "Black:BLK, Sage:SGE", 2900, 480, 13, 3),
    ("Care Plan 2 Years", "Services", "NB-CARE", "Standard:2Y", 2900, 0, 0, 3),
)  # fmt: skip

_CARELESS = {"NB-DRFM-RED": 0.55, "NB-PW10-WHT": 0.6, "NB-KEYL-DE": 0.5, "NB-CBLC-2M": 0.65, "NB-GLDM-WHT": 0.6,
             "NB-TAGF-4PK": 0.7, "NB-HUB8-GRY": 0.65, "NB-BUDL-CRL": 0.6, "NB-WAVE-44": 0.7}  # fmt: skip
"""SKUs whose planner orders too little too late: where stock-outs come from without being planted."""

_OVERBOUGHT = {"NB-HALB-COL": 9.0, "NB-SLV1-OLV": 11.0, "NB-FOLD-RSE": 10.0, "NB-HDMI-5M": 8.0}
"""SKUs bought in one large batch long ago: the overstock."""

_OLD_KINDS = ("Case", "Cable", "Adapter", "Speaker", "Lamp", "Earphones", "Charger", "Stand", "Keyboard", "Strap")
_OLD_COLOURS = ("Black", "White", "Grey", "Red", "Blue", "Green")
INACTIVE_SKUS = 840


def _product_id(number: int) -> int:
    return 8_200_000_000_000 + number * 4096


def _variant(
    number: int, product_id: int, sku: str, title: str, price: int, cost: int, supplier: int | None,
    at: datetime, updated: datetime, *, active: bool, tracked: bool = True, reorder: int | None = None,
    preferred: int | None = None, compare_at: int | None = None,
) -> Variant:  # fmt: skip
    lead = next((s.lead_time_days for s in SUPPLIERS if s.id == supplier), None)
    return Variant(
        id=44_000_000_000_000 + number * 512,
        product_id=product_id,
        inventory_item_id=46_000_000_000_000 + number * 512,
        sku=sku,
        title=title,
        price=money(price),
        compare_at_price=None if compare_at is None else money(compare_at),
        unit_cost=money(cost) if tracked else None,
        supplier_id=supplier,
        lead_time_days=lead,
        reorder_point=reorder,
        preferred_stock=preferred,
        active=active,
        tracked=tracked,
        requires_shipping=tracked,
        created_at=at,
        updated_at=updated,
    )


def build_catalogue(seed: int) -> tuple[tuple[Product, ...], tuple[Demand, ...], dict[str, float]]:
    """All products, the demand of the active SKUs, and how many times over each overbought SKU was bought."""
    rng = stream(seed, "catalogue", 0)
    products: list[Product] = []
    demands: list[Demand] = []
    number = 0
    for index, (title, kind, stem, choices, price, cost, supplier, popularity) in enumerate(_FAMILIES, start=1):
        options = [tuple(choice.split(":")) for choice in choices.split(", ")]
        product_id = _product_id(index)
        created = _BEFORE + timedelta(days=11 * index, hours=index)
        updated = created + timedelta(days=rng.randint(40, 500), minutes=rng.randint(0, 600))
        variants = []
        for place, (option, suffix) in enumerate(options):
            number += 1
            sku = f"{stem}-{suffix}"
            ask = price + (1000 * place if suffix in {"2M", "3M", "5M"} else 0) + (4000 if suffix == "4PK" else 0)
            making = cost + (120 * place if suffix in {"2M", "3M", "5M"} else 0) + (1700 if suffix == "4PK" else 0)
            share = popularity * (1.0, 0.55, 0.3)[place] / sum((1.0, 0.55, 0.3)[: len(options)])
            tracked = kind != "Services"
            reorder = max(20, round(share * 22)) if tracked and rng.random() < 0.9 else None
            variant = _variant(
                number, product_id, sku, option, ask, making, supplier or None, created, updated,
                active=True, tracked=tracked, reorder=reorder,
                preferred=None if reorder is None else reorder * 3,
                compare_at=round(ask * 1.2 / 100) * 100 if rng.random() < 0.2 else None,
            )  # fmt: skip
            variants.append(variant)
            label = title if len(options) == 1 else f"{title} - {option}"
            demands.append(Demand(variant, label, ask, making, share, _CARELESS.get(sku, 1.0)))
        tags = tuple(
            sorted({kind.lower(), *rng.sample(("bestseller", "gift 🎁", "new", "تخفيض", "eco"), k=rng.randint(0, 2))})
        )
        products.append(
            Product(
                product_id, title, stem.lower(), kind, "Northbeam", "ACTIVE", tags, created, updated, tuple(variants)
            )
        )
    products.extend(_old_products(seed, number))
    return tuple(products), tuple(demands), dict(_OVERBOUGHT)


def _old_products(seed: int, number: int) -> list[Product]:
    """The range that is no longer sold: archived products and a few drafts, 840 SKUs, one with 130 variants."""
    rng = stream(seed, "old-products", 0)
    products: list[Product] = []
    left, index = INACTIVE_SKUS, 100
    while left:
        index += 1
        size = 130 if index == 101 else min(left, rng.randint(1, 5))
        left -= size
        kind = "Case" if index == 101 else rng.choice(_OLD_KINDS)
        product_id = _product_id(index)
        created = datetime(2019, 1, 7, 12, tzinfo=UTC) + timedelta(
            days=rng.randint(0, 1500), minutes=rng.randint(0, 900)
        )
        updated = datetime(2023, 6, 1, 12, tzinfo=UTC) + timedelta(
            days=rng.randint(0, 480), minutes=rng.randint(0, 900)
        )
        price, variants = rng.randint(9, 149) * 100 + 99, []
        for place in range(size):
            number += 1
            option = f"Model {place + 1}" if size > 6 else _OLD_COLOURS[place % len(_OLD_COLOURS)]
            variants.append(
                _variant(
                    number,
                    product_id,
                    f"OLD-{index:03d}-{place + 1:03d}",
                    option,
                    price,
                    price // 3,
                    rng.choice(SUPPLIERS).id,
                    created,
                    updated,
                    active=False,
                )
            )
        status = "DRAFT" if rng.random() < 0.03 else "ARCHIVED"
        title = f"{rng.choice(('Classic', 'Mark II', 'Gen 1', 'Heritage'))} {kind} {index}"
        products.append(
            Product(
                product_id,
                title,
                f"old-{index}",
                kind,
                "Northbeam",
                status,
                ("retired",),
                created,
                updated,
                tuple(variants),
            )
        )
    return products


_DEALERS = (
    ("Meridian Electronics", "US", 30), ("BrightBuy Wholesale", "US", 45), ("Cascade Office Supply", "US", 30),
    ("Soundhaus GmbH", "DE", 30), ("Ohrwurm Vertrieb", "DE", 14), ("Maison du Son SARL", "FR", 45),
    ("Nordlyd AS", "NO", 30), ("Kauppa Oy", "FI", 30), ("Peak Retail Group", "US", 60), ("Harbor Gifts", "US", 30),
    ("Lone Star AV", "US", 30), ("Pacific Campus Stores", "US", 45), ("Fjord Elektronikk", "NO", 30),
    ("Gulf Trading LLC شركة الخليج", "AE", 30), ("Toronto Sound Co.", "CA", 30), ("Kiwi Tech Ltd", "NZ", 30),
    ("Aussie Audio Pty", "AU", 45), ("Iberia Sonido SL", "ES", 60), ("Casa Digitale Srl", "IT", 60),
    ("Lowlands Audio BV", "NL", 30), ("Alpine Tech AG", "CH", 30), ("Tokyo Oto KK 東京音", "JP", 30),
    ("Airport Express Shops", "US", 30), ("Union Hotels Procurement", "US", 60),
)  # fmt: skip


def build_business_customers() -> tuple[BusinessCustomer, ...]:
    return tuple(
        BusinessCustomer(3000 + i, name, country, terms, _BEFORE + timedelta(days=9 * i))
        for i, (name, country, terms) in enumerate(_DEALERS)
    )


def _channel(id: str, name: str, partner: str | None, supplier: int | None, topic: str) -> SlackChannel:
    return SlackChannel(id, name, partner, supplier, partner is not None, topic, _BEFORE)


CHANNELS = (
    _channel("C0EXEC", "executive", None, None, "The morning pulse"),
    _channel("C0TEAM", "team", None, None, "Team reports"),
    _channel("C0ALERT", "alerts", None, None, "Alerts"),
    _channel("C0FSZ", "factory-shenzhen", "Lumitek", 11, "Lumitek Shenzhen: speakers, power, lamps"),
    _channel("C0FDG", "factory-dongguan", "Haoyu", 12, "Haoyu Dongguan: earbuds, headphones"),
    _channel("C0FNB", "factory-ningbo", "Qianhe", 13, "Qianhe Ningbo: cables, chargers, accessories"),
    _channel("C0FTW", "factory-taoyuan", "Jing Yi", 14, "Jing Yi Taoyuan: hubs, cameras, input"),
    _channel("C0PLOG", "partner-logistics", "Portline", None, "Portline freight and customs"),
)

USERS = (
    User("U0NORA", "nora", "Nora Whitfield", "America/New_York", False, None),
    User("U0DAN", "dan", "Dan Okafor", "America/New_York", False, None),
    User("U0PRIYA", "priya", "Priya Raman", "Asia/Hong_Kong", False, None),
    User("U0OPSBOT", "ops", "Operations", "America/New_York", True, None),
    User("U0LIWEI", "li.wei", "Li Wei 李伟", "Asia/Shanghai", False, "Lumitek"),
    User("U0CHEN", "chen.fang", "Chen Fang 陈芳", "Asia/Shanghai", False, "Lumitek"),
    User("U0ZHANG", "zhang.min", "Zhang Min", "Asia/Shanghai", False, "Haoyu"),
    User("U0WU", "wu.jian", "Wu Jian 吴健", "Asia/Shanghai", False, "Qianhe"),
    User("U0LIN", "lin.yj", "Lin Yi-Jun 林怡君", "Asia/Taipei", False, "Jing Yi"),
    User("U0TAREK", "tarek", "Tarek Haddad طارق", "Asia/Hong_Kong", False, "Portline"),
)

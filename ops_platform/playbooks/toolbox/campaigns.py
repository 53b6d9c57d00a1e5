"""A re-engagement campaign proposed: a text for each reason, products for each customer, the shop's discount code.

Belongs here: the tool of the campaigns role, its words, what is recommended to whom. Does not belong here: who is
inactive (`customers.py`), approving and handing over (`ops_platform.approvals`): this tool writes nothing and sends
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import Field

from ops_platform.approvals.campaigns import check_payload
from ops_platform.evidence.quoting import minimise
from ops_platform.failures import DataFailure
from ops_platform.playbooks.reporting import Line, Reportable, Section, kept
from ops_platform.playbooks.toolbox.customers import InactiveCustomer, mark_of
from ops_platform.playbooks.toolbox.figures import Figures
from ops_platform.playbooks.tools import StepContext, Tool, ToolInput

PRODUCTS = 3
TONES = ("warm", "plain")
_LABELS = {
    "never_used": "Never used the app", "long_away": "Away for long", "lately_away": "Away lately",
}  # fmt: skip
# By reason and tone: subject, preview, first paragraph.
_WORDS: Mapping[tuple[str, str], tuple[str, str, str]] = {
    ("never_used", "warm"): (
        "Your headphones can do more than you have heard", "The app is ready when you are",
        "You have everything for a better sound, and the app that brings it out has been waiting for you.",
    ),
    ("never_used", "plain"): (
        "You have not opened your app yet", "It takes a minute to set up",
        "Your subscription is running, and the app has not been opened yet. Setting it up takes a minute.",
    ),
    ("long_away", "warm"): (
        "We miss you", "It has been quiet without you",
        "It has been a long time since you last listened with us, and we miss you.",
    ),
    ("long_away", "plain"): (
        "Your subscription is running without you", "See what is new since your last visit",
        "You have not used the app for a long time. A good deal has changed since your last visit.",
    ),
    ("lately_away", "warm"): (
        "It has been a while", "Something for your next session",
        "We have not seen you for a while and hope that all is well.",
    ),
    ("lately_away", "plain"): (
        "Pick up where you left off", "Your settings are as you left them",
        "You have not used the app lately. Everything is as you left it.",
    ),
}  # fmt: skip
_REST = (
    "Picked for you, going by what you have already: {products}.\n\n"
    "With the code {code} they cost less at checkout.\n\n"
    "If something keeps you away, answer this message: a person reads it."
)
_OFFER = """
select discounts.title
from staging.stg_shopify__discounts as discounts
where
    %(code)s = any(discounts.codes)
    and discounts.status = 'ACTIVE'
    and discounts.starts_at <= %(as_of)s
    and (discounts.ends_at is null or discounts.ends_at > %(as_of)s)
order by discounts.starts_at desc
limit 1
"""
# What others bought who bought the same, and the customer has not; in stock and on sale; else what sells best.
_PRODUCTS = """
with lines as (
    select distinct
        order_lines.customer_id,
        order_lines.sku
    from marts.fct_order_lines as order_lines
    where
        order_lines.sales_day <= %(today)s
        and order_lines.customer_id is not null
        and order_lines.sku is not null
        and not order_lines.is_cancelled
        and not order_lines.is_return
),

offered as (
    select
        products.sku,
        products.product_name
    from marts.dim_products as products
    inner join marts.fct_inventory_position as stock on products.sku = stock.sku
    where products.is_active and stock.available > 0 and products.price > 0
),

sold as (
    select
        lines.sku,
        count(*) as buyers
    from lines
    group by lines.sku
),

wanted as (
    select unnest(%(customers)s::text[]) as customer_id
),

together as (
    select
        mine.customer_id,
        theirs.sku,
        count(*) as score
    from wanted
    inner join lines as mine on wanted.customer_id = mine.customer_id
    inner join lines as others on mine.sku = others.sku and mine.customer_id <> others.customer_id
    inner join lines as theirs on others.customer_id = theirs.customer_id
    group by mine.customer_id, theirs.sku
),

ranked as (
    select
        wanted.customer_id,
        offered.product_name,
        row_number() over (
            partition by wanted.customer_id
            -- What nearly everybody buys says little about anybody.
            order by
                coalesce(together.score, 0) / sqrt(greatest(sold.buyers, 1)) desc,
                coalesce(sold.buyers, 0) desc, offered.sku asc
        ) as place
    from wanted
    cross join offered
    left join together on wanted.customer_id = together.customer_id and offered.sku = together.sku
    left join sold on offered.sku = sold.sku
    where
        not exists (
            select from lines where lines.customer_id = wanted.customer_id and lines.sku = offered.sku
        )
)

select
    ranked.customer_id,
    array_agg(ranked.product_name order by ranked.place) as products
from ranked
where ranked.place <= %(most)s
group by ranked.customer_id
"""


class CampaignInput(ToolInput):
    customers: list[InactiveCustomer] = Field(description="Whom it is for, as inactive_customers gives them.")
    unreachable: int = Field(default=0, ge=0, description="How many more nobody knows how to write to.")
    code: str = Field(default="COMEBACK15", pattern=r"^[A-Za-z0-9_-]{3,40}$", description="The shop's discount code.")
    title: str = Field(default="We miss you", max_length=60, description="What the campaign is called.")


class Campaign(Reportable):
    """A campaign as it is put up for approval."""

    payload: dict[str, Any] = Field(description="What exactly is approved (ops_platform/approvals/campaigns.py).")
    mark: str = Field(description="The campaign's name in the inbox.")
    customers: int
    campaigns: int = Field(description="One a reason and variant.")
    code: str
    code_in_shop: bool = Field(description="Whether the shop has an active code of that name.")
    personal: int = Field(description="Customers with products of their own, as against bestsellers.")


class CampaignDraft(Tool[CampaignInput, Campaign]):
    """A personalised campaign for inactive customers, for approval."""

    name = "campaign_draft"
    description = (
        "A re-engagement campaign for the customers given: a subject for the reason each stays away, products from past"
        " orders, the shop's discount code. Nothing is sent or made anywhere."
    )
    Input, Output, effect = CampaignInput, Campaign, "reads"

    def run(self, given: CampaignInput, context: StepContext) -> Campaign:
        if not given.customers:
            raise DataFailure("a campaign needs at least one customer")
        figures = Figures(context)
        offers = figures.rows(_OFFER, {"code": given.code, "as_of": context.as_of})
        offer = {
            "code": given.code, "title": minimise(offers[0]["title"] or "", 60) if offers else "",
            "in_shop": bool(offers),
        }  # fmt: skip
        products = self._products(figures, given.customers, context)
        groups: dict[str, dict[str, Any]] = {}
        for one in given.customers:
            if one.order is None or one.ordered_at is None:
                continue
            tone = self._tone(one.customer, context)
            group = groups.setdefault(f"{one.reason}_{tone}", _group(one.reason, tone))
            group["recipients"].append(
                {
                    "customer": one.customer, "order": one.order, "ordered_at": one.ordered_at.isoformat(),
                    "products": products.get(one.shop_customer_id or "", []), "arm": tone,
                }
            )  # fmt: skip
        people = sum(len(group["recipients"]) for group in groups.values())
        mark = mark_of(context.today)
        payload = {
            "mark": mark, "title": given.title, "offer": offer, "groups": [groups[name] for name in sorted(groups)],
            "unreachable": given.unreachable,
        }  # fmt: skip
        check_payload(payload)
        personal = sum(bool(one["products"]) for group in groups.values() for one in group["recipients"])
        return Campaign(
            payload=payload, mark=mark, customers=people, campaigns=len(groups), code=given.code,
            code_in_shop=bool(offers), personal=personal,
            section=kept(self._section(figures, people, len(groups), personal, offer)),
        )  # fmt: skip

    @staticmethod
    def _tone(customer: str, context: StepContext) -> str:
        """The variant of a customer: how it is said."""
        arm = context.variant_of(customer)
        tone = str((arm.variables if arm is not None else context.variables).get("tone", TONES[0]))
        if tone not in TONES:
            raise DataFailure(f"there is no tone {tone!r} to write in; there are {', '.join(TONES)}")
        return tone

    @staticmethod
    def _products(
        figures: Figures, customers: list[InactiveCustomer], context: StepContext
    ) -> dict[str, list[str]]:  # fmt: skip
        """By the shop's customer, what is recommended, the best first. Names are the shop's own words."""
        wanted = sorted({one.shop_customer_id for one in customers if one.shop_customer_id})
        rows = figures.rows(_PRODUCTS, {"customers": wanted, "today": context.today, "most": PRODUCTS})
        return {row["customer_id"]: [minimise(name, 60) for name in row["products"]] for row in rows}

    @staticmethod
    def _section(figures: Figures, people: int, groups: int, personal: int, offer: Mapping[str, Any]) -> Section:
        def counted(name: str, label: str, value: int) -> Any:
            return figures.fact(name, label, "count", Decimal(value), None, "marts.fct_order_lines", _PRODUCTS)

        facts = (
            counted("campaign_customers", "Customers in the campaign", people),
            counted("campaign_groups", "Drafts of campaigns", groups),
            counted("campaign_personal", "Customers with products of their own", personal),
        )
        line = (
            Line("ok", "The shop has the discount code", (), offer["code"])
            if offer["in_shop"]
            else Line("attention", "The shop has no active discount code of this name", (), offer["code"])
        )
        return Section("The campaign", facts, tuple(fact.id for fact in facts), (line,))


def _group(reason: str, tone: str) -> dict[str, Any]:
    subject, preview, opening = _WORDS[reason, tone]
    return {
        "reason": f"{reason}_{tone}", "label": f"{_LABELS[reason]}, {tone} words", "subject": subject,
        "preview": preview, "body": f"{opening}\n\n{_REST}", "recipients": [],
    }  # fmt: skip

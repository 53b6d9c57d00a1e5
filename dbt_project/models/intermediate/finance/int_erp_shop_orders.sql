{{ config(
    unique_key='order_name',
    scope='order_name',
    changed_by={'int_erp_transactions': 'shop_order_name', 'fct_orders': 'order_name'},
    indexes=[{'columns': ['order_name'], 'unique': true}, {'columns': ['sales_day']}],
) }}

-- Every order that the shop or the ERP knows, side by side. `expected_day` is the day both should carry. Amounts are
-- the company's: they may differ by a rounding, and for an order in another currency by the two systems' rates. A gift
-- card is no sale of the shop; the ERP may post it with its order or as what is owed, so either is right.
with erp as (
    select
        transactions.shop_order_name as order_name,
        min(transactions.transaction_day) as posted_day,
        count(*) as postings,
        sum(transactions.revenue) as erp_amount,
        case when count(distinct transactions.currency) = 1 then min(transactions.currency) end as erp_currency
    from {{ ref('int_erp_transactions') }} as transactions
    where
        transactions.is_sale
        and {{ in_scope('transactions.shop_order_name') }}
    group by transactions.shop_order_name
),

shop as (
    select
        orders.order_name,
        min(orders.sales_day) as sales_day,
        {{ complete_sum('orders.net_amount_company') }} as sold_amount,
        coalesce({{ complete_sum('orders.gift_card_amount_company') }}, 0) as gift_card_amount,
        case when count(distinct orders.currency) = 1 then min(orders.currency) end as shop_currency
    from {{ ref('fct_orders') }} as orders
    where {{ in_scope('orders.order_name') }}
    group by orders.order_name
),

compared as (
    select
        shop.*,
        case
            when abs(erp.erp_amount - shop.sold_amount - shop.gift_card_amount) < abs(erp.erp_amount - shop.sold_amount)
                then shop.sold_amount + shop.gift_card_amount
            else shop.sold_amount
        end as shop_amount
    from shop
    left join erp on shop.order_name = erp.order_name
),

paired as (
    select
        coalesce(shop.order_name, erp.order_name) as order_name,
        shop.sales_day,
        erp.posted_day,
        coalesce(shop.sales_day, erp.posted_day) as expected_day,
        shop.shop_amount,
        shop.shop_amount = 0 and shop.gift_card_amount > 0 as is_gift_cards_only,
        erp.erp_amount,
        coalesce(erp.postings, 0) as postings,
        shop.shop_currency,
        erp.erp_currency,
        shop.order_name is null as is_unknown_to_shop,
        erp.order_name is null as is_unknown_to_erp,
        {{ company_currency() }} as company_currency,
        greatest(
            {{ threshold('erp_shop_rounding_amount', 0.01) }},
            case
                when shop.shop_currency <> {{ company_currency() }}
                    then abs(shop.shop_amount) * {{ threshold('erp_shop_tolerance_share', 0.01) }}
            end
        ) as tolerance_amount
    from compared as shop
    full outer join erp on shop.order_name = erp.order_name
)

select
    paired.order_name,
    paired.sales_day,
    paired.posted_day,
    paired.expected_day,
    paired.shop_amount,
    paired.erp_amount,
    paired.postings,
    paired.shop_currency,
    paired.erp_currency,
    case
        when paired.is_unknown_to_erp and paired.is_gift_cards_only then 'matched'
        when paired.is_unknown_to_erp then 'missing_in_erp'
        when paired.is_unknown_to_shop then 'missing_in_shop'
        when paired.shop_amount is null then 'unknown_amount'
        when
            paired.postings > 1
            and paired.erp_amount > paired.shop_amount + paired.tolerance_amount then 'doubled_in_erp'
        -- Posting in the company's own currency is a conversion; any third currency is a mistake.
        when paired.erp_currency not in (paired.shop_currency, paired.company_currency) then 'other_currency'
        when abs(paired.erp_amount - paired.shop_amount) > paired.tolerance_amount then 'other_amount'
        when paired.posted_day <> paired.sales_day then 'other_day'
        else 'matched'
    end as finding
from paired

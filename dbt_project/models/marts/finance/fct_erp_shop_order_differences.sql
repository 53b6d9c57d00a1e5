{{ config(
    unique_key='order_name',
    indexes=[{'columns': ['order_name'], 'unique': true}, {'columns': ['date']}],
) }}

-- The orders behind the days of fct_erp_shop_reconciliation: each one that the shop and the ERP do not agree on, over
-- the same days. What the ERP may still post, or posted within the time it usually takes, is no difference yet.
with span as (
    select
        min(days.date) as first_day,
        max(days.date) as last_day,
        {{ threshold('erp_settlement_days', 1) }}::integer as settlement_days
    from {{ ref('fct_erp_shop_reconciliation') }} as days
)

select
    orders.order_name,
    orders.expected_day as date,
    orders.finding,
    case
        when orders.finding = 'unknown_amount' then 'unknown'
        when orders.finding = 'missing_in_erp' and orders.sales_day + span.settlement_days > span.last_day
            then 'not_yet_due'
        else 'open'
    end as state,
    orders.sales_day,
    orders.posted_day,
    orders.posted_day - orders.sales_day as days_late,
    orders.shop_amount,
    orders.erp_amount,
    case
        when orders.finding <> 'unknown_amount'
            then coalesce(orders.erp_amount, 0) - coalesce(orders.shop_amount, 0)
    end as difference_amount,
    {{ company_currency() }} as currency,
    orders.shop_currency,
    orders.erp_currency,
    orders.postings
from {{ ref('int_erp_shop_orders') }} as orders
inner join span on orders.expected_day between span.first_day and span.last_day
where
    orders.finding <> 'matched'
    and not (
        orders.finding = 'other_day'
        and orders.posted_day between orders.sales_day and orders.sales_day + span.settlement_days
    )

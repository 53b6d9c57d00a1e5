{{ config(
    unique_key='order_id',
    indexes=[{'columns': ['order_id'], 'unique': true}],
) }}

with waiting as (
    select
        orders.*,
        {{ as_of_day() }} - orders.opened_day as age_days
    from {{ ref('fct_orders') }} as orders
    inner join {{ ref('int_order_backlog') }} as backlog on orders.order_id = backlog.order_id
    where
        orders.settled_day is null
        and backlog.opened_day <= {{ as_of_day() }}
        and backlog.waiting_until >= {{ as_of_day() }}
        and not orders.is_custom
)

select
    waiting.order_id,
    waiting.order_name,
    waiting.processed_at,
    waiting.opened_day,
    waiting.age_days,
    {{ late_bucket('waiting.age_days', 'false') }} as bucket,
    waiting.channel,
    waiting.country,
    waiting.fulfilment_status,
    waiting.total_amount as order_amount,
    waiting.currency as order_currency,
    waiting.total_amount_company as value,
    {{ company_currency() }} as currency,
    waiting.total_amount_company >= {{ threshold('late_high_value', 500) }} as high_value
from waiting
where waiting.age_days >= {{ threshold('late_watch_days', 7) }}

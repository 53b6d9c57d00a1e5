{{ config(
    unique_key='order_id',
    indexes=[{'columns': ['order_id'], 'unique': true}],
) }}

-- Orders made to order that have not shipped, by how much of the time promised for them is gone.
with waiting as (
    select
        orders.*,
        {{ as_of_day() }} - orders.opened_day as age_days,
        orders.opened_day + {{ threshold('custom_order_days', 28) }}::int as promised_day
    from {{ ref('fct_orders') }} as orders
    where
        orders.settled_day is null
        and orders.is_custom
        and orders.opened_day <= {{ as_of_day() }}
)

select
    waiting.order_id,
    waiting.order_name,
    waiting.channel,
    waiting.country,
    waiting.opened_day,
    waiting.promised_day,
    waiting.age_days,
    greatest({{ as_of_day() }} - waiting.promised_day, 0) as days_overdue,
    case
        when waiting.promised_day < {{ as_of_day() }} then 'overdue'
        when waiting.promised_day <= {{ as_of_day() }} + {{ threshold('custom_order_soon_days', 7) }}::int
            then 'due_soon'
        else 'in_time'
    end as stage,
    waiting.total_amount_company as value,
    {{ company_currency() }} as currency
from waiting

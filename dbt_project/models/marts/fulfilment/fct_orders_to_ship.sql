{{ config(
    unique_key='order_id',
    indexes=[{'columns': ['order_id'], 'unique': true}, {'columns': ['band']}],
) }}

-- Orders that wait to be shipped longer than they should, up to the age at which they are called late. Custom orders
-- are made first, so hours say nothing of them.
with bounds as (
    select
        {{ threshold('fulfilment_target_hours', 24) }} as target_hours,
        {{ threshold('fulfilment_warning_hours', 48) }} as warning_hours,
        {{ threshold('fulfilment_critical_hours', 72) }} as critical_hours
),

waiting as (
    select
        orders.*,
        round(extract(epoch from {{ as_of() }} - orders.processed_at)::numeric / 3600, 2) as hours_waiting
    from {{ ref('fct_orders') }} as orders
    where
        orders.settled_day is null
        and not orders.is_custom
        and orders.processed_at <= {{ as_of() }}
        and {{ as_of_day() }} - orders.opened_day < {{ threshold('late_watch_days', 7) }}
)

select
    waiting.order_id,
    waiting.order_name,
    waiting.channel,
    waiting.country,
    waiting.processed_at,
    waiting.hours_waiting,
    case
        when waiting.hours_waiting > bounds.critical_hours then 'critical'
        when waiting.hours_waiting > bounds.warning_hours then 'warning'
        else 'over_target'
    end as band,
    waiting.total_amount_company as value,
    {{ company_currency() }} as currency,
    waiting.total_amount_company >= {{ threshold('late_high_value', 500) }} as high_value
from waiting
cross join bounds
where waiting.hours_waiting > bounds.target_hours

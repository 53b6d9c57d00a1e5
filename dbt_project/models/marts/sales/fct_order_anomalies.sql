{{ config(
    unique_key='order_id',
    indexes=[{'columns': ['order_id'], 'unique': true}],
) }}

-- Orders of the last days that are nothing like the others of their channel: worth a person's look before they ship.
-- Usual is what all but one in a hundred orders of the channel stayed below in the ninety days before.
with recent as (
    select orders.*
    from {{ ref('fct_orders') }} as orders
    where
        orders.sales_day > {{ as_of_day() }} - {{ threshold('order_anomaly_days', 3) }}::int
        and orders.sales_day <= {{ as_of_day() }}
        and orders.cancelled_at is null
),

usual as (
    select
        orders.channel,
        count(*) as orders,
        percentile_cont(0.99) within group (order by orders.total_amount_company)::numeric as amount,
        percentile_cont(0.99) within group (order by orders.units)::numeric as units
    from {{ ref('fct_orders') }} as orders
    where
        orders.sales_day <= {{ as_of_day() }} - {{ threshold('order_anomaly_days', 3) }}::int
        and orders.sales_day > {{ as_of_day() }} - {{ threshold('order_anomaly_days', 3) }}::int - 90
        and orders.total_amount_company is not null
    group by orders.channel
),

-- The same customer's same amount again within a quarter of an hour: paid twice by mistake, or a card being tried.
doubled as (
    select distinct later.order_id
    from recent as later
    inner join recent as earlier
        on
            later.customer_id = earlier.customer_id
            and later.total_amount = earlier.total_amount
            and later.currency = earlier.currency
            and later.order_id <> earlier.order_id
            and later.processed_at < earlier.processed_at + interval '15 minutes'
            and (later.processed_at, later.order_id) > (earlier.processed_at, earlier.order_id)
),

judged as (
    select
        recent.*,
        case when usual.orders >= 30 then usual.amount end as usual_amount,
        case when usual.orders >= 30 then usual.units end as usual_units,
        round(recent.discount_amount_company / nullif(recent.gross_amount_company, 0), 4) as discount_share,
        doubled.order_id is not null as is_doubled
    from recent
    left join usual on recent.channel = usual.channel
    left join doubled on recent.order_id = doubled.order_id
),

reasoned as (
    select
        judged.*,
        case
            when judged.is_doubled then 'doubled'
            when judged.total_amount_company > judged.usual_amount * {{ threshold('order_anomaly_factor', 2) }}
                then 'amount'
            when judged.units > judged.usual_units * {{ threshold('order_anomaly_factor', 2) }} then 'units'
            when judged.discount_share >= {{ threshold('order_discount_share', 0.5) }} then 'discount'
        end as reason
    from judged
)

select
    reasoned.order_id,
    reasoned.order_name,
    reasoned.channel,
    reasoned.country,
    reasoned.processed_at,
    reasoned.sales_day,
    reasoned.reason,
    case reasoned.reason
        when 'doubled' then 'same customer and amount again within minutes'
        when 'amount' then 'far above what its channel orders'
        when 'units' then 'far more units than its channel orders'
        when 'discount' then 'at least half off'
    end as reason_words,
    reasoned.units,
    reasoned.discount_share,
    reasoned.total_amount_company as value,
    round(reasoned.usual_amount, 2) as usual_amount,
    {{ company_currency() }} as currency
from reasoned
where reasoned.reason is not null

{{ config(
    unique_key='fulfilment_id',
    scope='order_id',
    changed_by={'stg_shopify__fulfilments': 'order_id', 'int_orders': 'order_id'},
    indexes=[{'columns': ['fulfilment_id'], 'unique': true}, {'columns': ['ship_day']}, {'columns': ['order_id']}],
) }}

select
    fulfilments.fulfilment_id,
    orders.order_id,
    orders.order_name,
    orders.channel,
    fulfilments.status,
    fulfilments.location_id,
    locations.location_name,
    fulfilments.created_at as shipped_at,
    {{ company_day('fulfilments.created_at') }} as ship_day,
    fulfilments.in_transit_at,
    fulfilments.delivered_at,
    round(extract(epoch from fulfilments.created_at - orders.processed_at) / 3600, 4) as hours_since_order,
    fulfilments.status = 'SUCCESS' as is_successful
from {{ ref('stg_shopify__fulfilments') }} as fulfilments
inner join {{ ref('int_orders') }} as orders on fulfilments.order_id = orders.order_id
left join {{ ref('stg_shopify__locations') }} as locations on fulfilments.location_id = locations.location_id
where {{ in_scope('orders.order_id') }}

{{ config(
    unique_key='order_id',
    scope='order_id',
    changed_by={'orders': 'id'},
    indexes=[{'columns': ['order_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_amazon', 'orders')) }}
)

select
    changed.id as order_id,
    (
        select min(alias_of ->> 'aliasId') from jsonb_array_elements(coalesce(o."orderAliases", '[]')) as alias_of
        where alias_of ->> 'aliasType' = 'SELLER_ORDER_ID'
    ) as seller_order_id,
    o."createdTime" as purchased_at,
    (
        o."createdTime" at time zone {{ amazon_zone("o.\"salesChannel\" ->> 'marketplaceId'") }}
    )::date as marketplace_day,
    o."lastUpdatedTime" as updated_at,
    o."salesChannel" ->> 'channelName' as sales_channel,
    o."salesChannel" ->> 'marketplaceId' as marketplace_id,
    o.fulfillment ->> 'fulfillmentStatus' as fulfilment_status,
    o.fulfillment ->> 'fulfilledBy' as fulfilled_by,
    (o.fulfillment -> 'shipByWindow' ->> 'latestDateTime')::timestamptz as ship_by_at,
    coalesce(o.fulfillment ->> 'fulfillmentStatus' in ('PENDING', 'PENDING_AVAILABILITY'), false) as is_pending,
    coalesce(o.fulfillment ->> 'fulfillmentStatus' = 'CANCELLED', false) as is_cancelled,
    coalesce(o.programs ? 'AMAZON_BUSINESS', false) as is_business,
    (
        select min(other ->> 'orderId') from jsonb_array_elements(coalesce(o."associatedOrders", '[]')) as other
        where other ->> 'associationType' = 'REPLACEMENT_ORIGINAL_ID'
    ) as replaces_order_id,
    o.proceeds -> 'grandTotal' ->> 'currencyCode' as currency,
    (o.proceeds -> 'grandTotal' ->> 'amount')::numeric as total_amount,
    {{ amazon_proceeds('o.proceeds', 'SHIPPING') }} as shipping_amount,
    {{ amazon_proceeds('o.proceeds', 'TAX') }} as tax_amount,
    {{ amazon_proceeds('o.proceeds', 'DISCOUNT') }} as promotion_amount,
    coalesce(jsonb_array_length(o."orderItems"), 0) as item_count
from changed
cross join jsonb_to_record(changed.payload) as o (
    "orderAliases" jsonb,
    "createdTime" timestamptz,
    "lastUpdatedTime" timestamptz,
    "salesChannel" jsonb,
    fulfillment jsonb,
    programs jsonb,
    "associatedOrders" jsonb,
    proceeds jsonb,
    "orderItems" jsonb
)

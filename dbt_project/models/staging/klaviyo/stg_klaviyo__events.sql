{{ config(
    unique_key='event_id',
    scope='event_id',
    changed_by={'events': 'id'},
    indexes=[{'columns': ['event_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_klaviyo', 'events')) }}
)

select
    changed.id as event_id,
    e.datetime as occurred_at,
    e.metric_id,
    e.metric_name,
    ids.order_id,
    'gid://shopify/Order/' || ids.order_id as shop_order_id,
    e.properties -> 'order' ->> 'name' as order_name,
    coalesce(e.properties -> 'order' ->> 'order_number', e.properties ->> 'Order Number') as order_number,
    (e.properties ->> '$value')::numeric as value_amount,
    coalesce(
        e.properties ->> '$value_currency', e.properties ->> '$currency_code', e.properties -> 'order' ->> 'currency'
    ) as currency,
    e.properties ->> 'Source Name' as source_name,
    case jsonb_typeof(e.properties -> 'Discount Codes')
        when 'array' then array(select code from jsonb_array_elements_text(e.properties -> 'Discount Codes') as code)
        else '{}'
    end as discount_codes,
    e.attributions -> 0 ->> 'campaign_id' as campaign_id,
    e.attributions -> 0 ->> 'campaign_message_id' as campaign_message_id,
    e.attributions -> 0 ->> 'flow_id' as flow_id,
    e.attributions -> 0 ->> 'flow_message_id' as flow_message_id,
    coalesce(jsonb_array_length(e.attributions) > 0, false) as is_attributed
from changed
cross join
    jsonb_to_record(changed.payload) as e (
        datetime timestamptz,
        metric_id text,
        metric_name text,
        properties jsonb,
        attributions jsonb
    )
-- The shop's integration names an order's event by the order; those of a refund have a name of their own.
cross join
    lateral (
        values (
            coalesce(
                e.properties -> 'order' ->> 'id',
                e.properties ->> 'OrderId',
                case when e.metric_name = 'Placed Order' then e.properties ->> '$event_id' end
            )
        )
    ) as ids (order_id)

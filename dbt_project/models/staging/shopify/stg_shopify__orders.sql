{{ config(
    unique_key='order_id',
    scope='order_id',
    changed_by={'orders': 'id'},
    indexes=[{'columns': ['order_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_shopify', 'orders')) }}
)

select
    changed.id as order_id,
    o.name as order_name,
    o."createdAt" as created_at,
    coalesce(o."processedAt", o."createdAt") as processed_at,
    o."updatedAt" as updated_at,
    o."cancelledAt" as cancelled_at,
    o."cancelReason" as cancel_reason,
    o."closedAt" as closed_at,
    coalesce(o.test, false) as is_test,
    coalesce({{ shop_currency_of('o."totalPriceSet"') }}, o."currencyCode") as currency,
    o."displayFinancialStatus" as financial_status,
    o."displayFulfillmentStatus" as fulfilment_status,
    o."sourceName" as source_name,
    coalesce((select array_agg(tag) from jsonb_array_elements_text(o.tags) as tag), '{}') as tags,
    coalesce(o."taxesIncluded", false) as is_tax_included,
    o.customer ->> 'id' as customer_id,
    o."shippingAddress" ->> 'countryCodeV2' as shipping_country,
    o."shippingAddress" ->> 'provinceCode' as shipping_province,
    o."billingAddress" ->> 'countryCodeV2' as billing_country,
    coalesce(
        (select array_agg(code) from jsonb_array_elements_text(o."discountCodes") as code), '{}'
    ) as discount_codes,
    {{ shop_money('o."subtotalPriceSet"') }} as subtotal_amount,
    {{ shop_money('o."totalPriceSet"') }} as total_amount,
    {{ shop_money('o."totalDiscountsSet"') }} as total_discount_amount,
    {{ shop_money('o."totalTaxSet"') }} as total_tax_amount,
    {{ shop_money('o."totalShippingPriceSet"') }} as total_shipping_amount,
    {{ shop_money('o."currentTotalPriceSet"') }} as current_total_amount,
    {{ shop_money('o."netPaymentSet"') }} as net_payment_amount,
    coalesce(jsonb_array_length(o."lineItems"), 0) as line_count,
    coalesce(jsonb_array_length(o.refunds), 0) as refund_count,
    coalesce(jsonb_array_length(o.fulfillments), 0) as fulfilment_count
from changed
cross join jsonb_to_record(changed.payload) as o (
    name text,
    "createdAt" timestamptz,
    "processedAt" timestamptz,
    "updatedAt" timestamptz,
    "cancelledAt" timestamptz,
    "cancelReason" text,
    "closedAt" timestamptz,
    test boolean,
    "currencyCode" text,
    "displayFinancialStatus" text,
    "displayFulfillmentStatus" text,
    "sourceName" text,
    tags jsonb,
    "taxesIncluded" boolean,
    customer jsonb,
    "shippingAddress" jsonb,
    "billingAddress" jsonb,
    "discountCodes" jsonb,
    "subtotalPriceSet" jsonb,
    "totalPriceSet" jsonb,
    "totalDiscountsSet" jsonb,
    "totalTaxSet" jsonb,
    "totalShippingPriceSet" jsonb,
    "currentTotalPriceSet" jsonb,
    "netPaymentSet" jsonb,
    "lineItems" jsonb,
    refunds jsonb,
    fulfillments jsonb
)

{#- Never dropped: the views that ask for the company's day and zone stand on it. -#}
{{ config(unique_key='company_name') }}

with shop as (
    select
        shops.timezone,
        shops.currency
    from {{ ref('stg_shopify__shop') }} as shops
    order by shops.shop_id
    limit 1
)

select
    company.name as company_name,
    company.timezone as company_timezone,
    company.currency as company_currency,
    coalesce(shop.timezone, company.timezone) as shop_timezone,
    coalesce(shop.currency, company.currency) as shop_currency
from {{ source('ops', 'company') }} as company
left join shop on true

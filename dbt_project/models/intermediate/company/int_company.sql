{#- Never dropped: the views that ask for the company's day and zone stand on it. -#}
{{ config(materialized='incremental', incremental_strategy='replace_changed', unique_key='company_name') }}

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
    company.as_of,
    (company.as_of at time zone company.timezone)::date as as_of_day,
    coalesce(shop.timezone, company.timezone) as shop_timezone,
    coalesce(shop.currency, company.currency) as shop_currency,
    hashtextextended(
        concat_ws(' ', company.timezone, company.currency, coalesce(shop.timezone, company.timezone)), 0
    ) as context_number
from {{ source('ops', 'company') }} as company
left join shop on true

{{ config(materialized='lasting_view') }}

select
    rates.currency,
    rates.rate_to_company as rate,
    rates.rate_date as valid_from,
    least(
        lead(rates.rate_date, 1, 'infinity'::date) over (partition by rates.currency order by rates.rate_date),
        rates.rate_date + {{ var('fx_rate_valid_days') }}
    ) as valid_to
from {{ ref('fx_rates') }} as rates
where rates.company_currency = {{ company_currency() }}

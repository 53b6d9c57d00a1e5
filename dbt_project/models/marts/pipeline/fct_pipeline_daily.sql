{{ config(
    unique_key=['date', 'stage'],
    scope='date',
    changed_by={'int_deal_stages': 'entered_day..counts_until', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date', 'stage'], 'unique': true}],
) }}

-- The open pipeline at the close of each day. The stage is that of the day, by the history; the amount is the one the
-- deal has now, at the day's rate. A deal without an amount counts as a deal and adds nothing to the value.
with valued as (
    select
        days.date,
        spells.stage,
        spells.amount is null as is_without_amount,
        numbers.probability,
        case
            when spells.amount is null then 0
            when spells.currency = {{ company_currency() }} then spells.amount
            else spells.amount * fx.rate
        end as amount_company
    from {{ days_in_scope(ref('int_deal_stages'), 'entered_day') }} as days
    inner join {{ ref('int_deal_stages') }} as spells
        on
            days.date >= spells.entered_day
            and (days.date <= spells.counts_until or spells.counts_until is null)
            and not spells.is_closed
    left join {{ ref('int_fx_rates') }} as fx
        on
            spells.currency = fx.currency
            and days.date >= fx.valid_from
            and days.date < fx.valid_to
    left join {{ ref('int_stage_numbers') }} as numbers
        on
            spells.position = numbers.position
            and days.date >= numbers.valid_from
            and days.date < numbers.valid_to
    where days.date <= {{ as_of_day() }}
)

select
    valued.date,
    valued.stage,
    count(*) as open_deals,
    count(*) filter (where valued.is_without_amount) as deals_without_amount,
    {{ complete_sum('valued.amount_company') }} as pipeline_value,
    {{ complete_sum('valued.amount_company * valued.probability') }} as weighted_value
from valued
group by valued.date, valued.stage

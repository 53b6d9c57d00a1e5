{{ config(
    unique_key='deal_id',
    indexes=[{'columns': ['deal_id'], 'unique': true}, {'columns': ['closed_day']}, {'columns': ['created_day']}],
) }}

-- Amounts of closed deals at the rate of the day they closed, of open ones at the clock's.
with valued as (
    select
        deals.*,
        case when deals.currency = {{ company_currency() }} then deals.amount else deals.amount * fx.rate end
            as amount_company,
        numbers.probability,
        numbers.expected_days,
        case
            when not deals.is_closed
                then
                    round(
                        greatest(extract(epoch from {{ as_of() }} - deals.stage_entered_at), 0) / 86400, 6
                    )
        end as days_in_stage,
        case
            when not deals.is_closed then greatest({{ as_of_day() }} - {{ company_day('deals.last_active_at') }}, 0)
        end
            as days_inactive,
        array_remove(
            array[
                case when deals.amount is null then 'amount' end,
                case when deals.expected_close_day is null then 'close_date' end,
                case when deals.owner_id is null then 'owner' end,
                case when deals.company_id is null then 'company' end
            ],
            null
        ) as missing
    from {{ ref('int_deals') }} as deals
    left join {{ ref('int_fx_rates') }} as fx
        on
            deals.currency = fx.currency
            and coalesce(deals.closed_day, {{ as_of_day() }}) >= fx.valid_from
            and coalesce(deals.closed_day, {{ as_of_day() }}) < fx.valid_to
    left join {{ ref('int_stage_numbers') }} as numbers
        on
            deals.position = numbers.position
            and coalesce(deals.closed_day, {{ as_of_day() }}) >= numbers.valid_from
            and coalesce(deals.closed_day, {{ as_of_day() }}) < numbers.valid_to
)

select
    valued.deal_id,
    valued.pipeline_id,
    valued.stage,
    valued.position,
    valued.is_closed,
    valued.is_won,
    valued.company_id,
    valued.owner_id,
    valued.erp_invoice_number,
    valued.amount,
    valued.currency,
    valued.amount_company,
    valued.probability,
    valued.amount_company * valued.probability as weighted_amount,
    valued.amount_company >= {{ threshold('deal_high_priority', 25000) }} as is_high_priority,
    valued.created_day,
    valued.closed_day,
    valued.expected_close_day,
    valued.cycle_days,
    valued.touches,
    valued.days_in_stage,
    valued.expected_days,
    valued.days_in_stage > valued.expected_days as is_over_expected,
    valued.days_inactive,
    coalesce(valued.days_inactive >= {{ threshold('deal_stale_days', 7) }}, false) as is_stale,
    coalesce(valued.days_inactive >= {{ threshold('deal_stale_warning_days', 14) }}, false) as is_stale_warning,
    coalesce(valued.days_inactive >= {{ threshold('deal_stale_critical_days', 30) }}, false) as is_stale_critical,
    case when not valued.is_closed then cardinality(valued.missing) end as missing_fields,
    case when not valued.is_closed then array_to_string(valued.missing, ', ') end as missing_field_list
from valued

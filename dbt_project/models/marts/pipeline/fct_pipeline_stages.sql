{{ config(
    unique_key='stage',
    indexes=[{'columns': ['stage'], 'unique': true}],
) }}

-- The open pipeline by stage, now and a week ago, every open stage once.
with stages as (
    select
        numbers.stage,
        numbers.position,
        numbers.expected_days,
        numbers.probability
    from {{ ref('int_stage_numbers') }} as numbers
    where
        numbers.position <= 7
        and {{ as_of_day() }} >= numbers.valid_from
        and {{ as_of_day() }} < numbers.valid_to
),

standing as (
    select
        deals.stage,
        count(*) filter (where deals.is_over_expected) as deals_over_expected,
        round(avg(deals.days_in_stage), 1) as mean_days_in_stage
    from {{ ref('fct_deals') }} as deals
    where not deals.is_closed
    group by deals.stage
),

history as (
    select min(daily.date) as first_day
    from {{ ref('fct_pipeline_daily') }} as daily
)

select
    stages.stage,
    stages.position,
    stages.probability,
    stages.expected_days,
    coalesce(today.open_deals, 0) as open_deals,
    case when today.stage is null then 0 else today.pipeline_value end as pipeline_value,
    case when today.stage is null then 0 else today.weighted_value end as weighted_value,
    {{ company_currency() }} as currency,
    case
        when history.first_day <= {{ as_of_day() }} - 7 then coalesce(before.open_deals, 0)
    end as open_deals_week_ago,
    case
        when before.stage is not null then before.pipeline_value
        when history.first_day <= {{ as_of_day() }} - 7 then 0
    end as pipeline_value_week_ago,
    coalesce(standing.deals_over_expected, 0) as deals_over_expected,
    standing.mean_days_in_stage
from stages
cross join history
left join {{ ref('fct_pipeline_daily') }} as today on stages.stage = today.stage and today.date = {{ as_of_day() }}
left join {{ ref('fct_pipeline_daily') }} as before
    on
        stages.stage = before.stage
        and before.date = {{ as_of_day() }} - 7
left join standing on stages.stage = standing.stage

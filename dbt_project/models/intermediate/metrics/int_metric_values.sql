{{ config(
    unique_key=['metric_id', 'date', 'dimension', 'dimension_value'],
    scope='date',
    changed_by={
        'int_metric_observed': 'date',
        'int_metric_starts': 'since first_day',
        'int_metric_ends': 'since carried_until',
        'int_metric_freshness': 'since known_through',
        'int_clock': [],
        'dim_metric': 'whole',
    },
    recent_days=2,
    indexes=[{'columns': ['metric_id', 'dimension', 'dimension_value', 'date'], 'unique': true}, {'columns': ['date']}],
) }}

-- Every base metric on every day it covers. A day without activity is zero where the source is known to be
-- complete through it, and unknown (NULL) where it is not; the day of the clock is not over, so a flow has no row
-- for it. A level is the state at the close of the day, and on the clock's own day the state at the clock. A
-- snapshot has only the days that were seen.
with laid as (
    select
        starts.metric_id,
        days.date,
        starts.dimension,
        starts.dimension_value,
        0 as observed_rows,
        null::numeric as value,
        null::numeric as numerator,
        null::numeric as denominator
    from {{ days_in_scope(ref('int_metric_starts'), 'first_day') }} as days
    inner join {{ ref('int_metric_starts') }} as starts on days.date >= starts.first_day
    inner join {{ ref('int_metric_ends') }} as ends
        on
            starts.series_id = ends.series_id
            and days.date <= ends.carried_until
    inner join {{ ref('dim_metric') }} as metrics
        on
            starts.metric_id = metrics.metric_id
            and metrics.kind <> 'snapshot'

    union all

    select
        observed.metric_id,
        observed.date,
        observed.dimension,
        observed.dimension_value,
        1 as observed_rows,
        observed.value,
        observed.numerator,
        observed.denominator
    from {{ ref('int_metric_observed') }} as observed
    where {{ in_scope('observed.date') }}
),

-- What was observed laid over the days it must cover, without a join: of each key at most one row is observed.
days as (
    select
        laid.metric_id,
        laid.date,
        laid.dimension,
        laid.dimension_value,
        sum(laid.observed_rows)::int as observed_rows,
        max(laid.value) as value,
        max(laid.numerator) as numerator,
        max(laid.denominator) as denominator
    from laid
    group by laid.metric_id, laid.date, laid.dimension, laid.dimension_value
),

dated as (
    select
        days.*,
        metrics.kind,
        metrics.aggregation,
        metrics.kind = 'snapshot'
        or coalesce(
            days.date <= freshness.complete_through
            or (metrics.kind = 'level' and days.date = {{ as_of_day() }} and freshness.fresh_day >= {{ as_of_day() }}),
            false
        ) as is_known
    from days
    inner join {{ ref('dim_metric') }} as metrics on days.metric_id = metrics.metric_id
    left join {{ ref('int_metric_freshness') }} as freshness on days.metric_id = freshness.metric_id
    where days.date <= case when metrics.kind = 'flow' then {{ as_of_day() }} - 1 else {{ as_of_day() }} end
)

select
    dated.metric_id,
    dated.date,
    dated.dimension,
    dated.dimension_value,
    case
        when not dated.is_known then null
        when dated.observed_rows > 0 then dated.value
        when dated.aggregation = 'sum' or dated.kind = 'level' then 0
    end as value,
    case
        when not dated.is_known then null
        when dated.observed_rows > 0 then dated.numerator
        when dated.aggregation in ('sum', 'ratio', 'average') or dated.kind = 'level' then 0
    end as numerator,
    case
        when not dated.is_known then null
        when dated.observed_rows > 0 then dated.denominator
        when dated.aggregation in ('ratio', 'average') then 0
    end as denominator,
    dated.observed_rows
from dated
-- Three indexes are built of these rows, here and in what is made of them: in their order each is built in half the
-- time.
order by dated.metric_id, dated.dimension, dated.dimension_value, dated.date

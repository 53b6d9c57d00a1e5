{{ config(indexes=[{'columns': ['metric_id', 'dimension', 'date']}], post_hook="analyze {{ this }}") }}

{#- The list is written by `python -m ops_platform.warehouse.metric_union` from the files in models/metrics. -#}
{% set metric_models = [
    'amounts_without_rate',
    'average_order_value',
    'cancelled_lines',
    'days_of_supply',
    'discount_amount',
    'discount_share',
    'erp_orders',
    'erp_revenue',
    'erp_shop_gap',
    'factory_messages_unanswered',
    'gross_margin_rate',
    'gross_sales',
    'high_value_late_orders',
    'inventory_units',
    'inventory_value',
    'key_sku_supply_share',
    'late_orders',
    'lines_without_customer',
    'net_sales',
    'new_customers',
    'order_lines',
    'order_to_ship_hours',
    'orders',
    'orders_pending',
    'orders_shipped',
    'purchase_orders_overdue',
    'refund_rate',
    'refunds',
    'repeat_order_share',
    'returned_lines',
    'revenue_plan_attainment',
    'skus_out_of_stock',
    'skus_overstock',
    'skus_stock_critical',
    'skus_stock_warning',
    'skus_stock_watch',
    'units_sold',
    'unpriced_lines',
] %}

-- Every base metric on every day it covers. A day without activity is zero where the source is known to be
-- complete through it, and unknown (NULL) where it is not; the day of the clock is not over, so a flow has no row
-- for it. A level is the state at the close of the day, and on the clock's own day the state at the clock. A
-- snapshot has only the days that were seen.
with observed as (
    {% for metric_model in metric_models %}
        select
            '{{ metric_model }}' as metric_id,
            {{ metric_model }}.date,
            {{ metric_model }}.dimension,
            {{ metric_model }}.dimension_value,
            {{ metric_model }}.value,
            {{ metric_model }}.numerator,
            {{ metric_model }}.denominator
        from {{ ref(metric_model) }} as {{ metric_model }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
),

spans as (
    select
        observed.metric_id,
        observed.dimension,
        observed.dimension_value,
        metrics.kind,
        min(observed.date) as first_day,
        max(observed.date) as last_observed_day,
        case when metrics.kind = 'flow' then {{ as_of_day() }} - 1 else {{ as_of_day() }} end as last_day
    from observed
    inner join {{ ref('dim_metric') }} as metrics on observed.metric_id = metrics.metric_id
    group by observed.metric_id, observed.dimension, observed.dimension_value, metrics.kind
),

-- What was observed laid over the days it must cover, without a join: of each key at most one row is observed,
-- and a test holds observed_rows to that.
laid as (
    select
        spans.metric_id,
        day.date::date as date,
        spans.dimension,
        spans.dimension_value,
        0 as observed_rows,
        null::numeric as value,
        null::numeric as numerator,
        null::numeric as denominator
    from spans
    cross join
        generate_series(
            spans.first_day::timestamp,
            -- A dimension's value that has been silent for over a year is not carried on with zeros.
            case
                when spans.dimension = 'all' or spans.last_observed_day >= spans.last_day - 400 then spans.last_day
                else least(spans.last_observed_day, spans.last_day)
            end::timestamp,
            interval '1 day'
        ) as day (date)
    where spans.kind <> 'snapshot'

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
    from observed
),

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

{{ config(
    unique_key=['snapshot_day', 'measure', 'dimension', 'dimension_value'],
    scope='snapshot_day',
    only_recent=true,
    full_refresh=false,
    indexes=[{'columns': ['snapshot_day']}, {'columns': ['measure', 'snapshot_day']}],
) }}

-- The CRM tells contacts and fields as they are now: each build keeps the day's picture, and the days before stay as
-- they were seen. What was not synced on the day itself is unknown, not yesterday's.
with freshness as (
    select bool_and(sources.fresh_day >= {{ as_of_day() }}) as is_fresh
    from {{ ref('int_source_freshness') }} as sources
    where sources.source in ('hubspot.deals', 'hubspot.contacts')
),

measured as (
    select
        'stale_deals' as measure,
        dimensions.dimension,
        dimensions.dimension_value,
        count(*) filter (
            where deals.is_stale
            and (
                dimensions.dimension = 'all'
                or dimensions.dimension_value = case
                    when deals.is_stale_critical then 'critical'
                    when deals.is_stale_warning then 'warning'
                    else 'watch'
                end
            )
        ) as numerator
    from (values ('all', 'all'), ('severity', 'watch'), ('severity', 'warning'), ('severity', 'critical'))
        as dimensions (dimension, dimension_value)
    left join {{ ref('fct_deals') }} as deals on true
    group by dimensions.dimension, dimensions.dimension_value

    union all

    select
        'deals_missing_fields' as measure,
        dimensions.dimension,
        dimensions.dimension_value,
        count(*) filter (where deals.missing_fields > 0) as numerator
    from (values ('all', 'all')) as dimensions (dimension, dimension_value)
    left join {{ ref('fct_deals') }} as deals on true
    group by dimensions.dimension, dimensions.dimension_value

    union all

    select
        'leads_by_tier' as measure,
        dimensions.dimension,
        dimensions.dimension_value,
        count(leads.lead_id) as numerator
    from (
        values ('all', 'all'), ('tier', 'hot'), ('tier', 'warm'), ('tier', 'cold'), ('tier', 'disqualified'),
        ('tier', 'unknown')
    ) as dimensions (dimension, dimension_value)
    left join {{ ref('fct_leads') }} as leads
        on dimensions.dimension = 'all' or dimensions.dimension_value = coalesce(leads.tier, 'unknown')
    group by dimensions.dimension, dimensions.dimension_value

    union all

    select
        measures.measure,
        'all' as dimension,
        'all' as dimension_value,
        measures.numerator
    from (
        select
            count(*) filter (where leads.tier = 'hot') as hot_leads,
            count(*) filter (where leads.is_touch_overdue) as lead_touches_overdue
        from {{ ref('fct_leads') }} as leads
    ) as counted
    cross join
        lateral (
            values
            ('hot_leads', counted.hot_leads),
            ('lead_touches_overdue', counted.lead_touches_overdue)
        ) as measures (measure, numerator)
)

select
    {{ as_of_day() }} as snapshot_day,
    measured.measure,
    measured.dimension,
    measured.dimension_value,
    case when freshness.is_fresh then measured.numerator end::numeric as numerator
from measured
cross join freshness
where freshness.is_fresh is not null

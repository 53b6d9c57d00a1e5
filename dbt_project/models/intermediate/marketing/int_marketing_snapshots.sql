{{ config(
    unique_key=['snapshot_day', 'measure', 'dimension', 'dimension_value'],
    scope='snapshot_day',
    only_recent=true,
    full_refresh=false,
    indexes=[{'columns': ['measure', 'snapshot_day']}, {'columns': ['snapshot_day']}],
) }}

-- What the vendors show of these is the present only: when a text was finished or a listing was taken down is nowhere
-- on record. Each build keeps the day's picture; the days before stay as they were seen. What was not synced on the
-- day itself is unknown, not yesterday's.
with freshness as (
    select
        sources.source,
        sources.fresh_day >= {{ as_of_day() }} as is_fresh
    from {{ ref('int_source_freshness') }} as sources
    where sources.source in ('airtable.content_calendar', 'amazon.listings')
),

content as (
    select
        count(*) filter (where items.is_overdue) as overdue,
        count(*) filter (where items.is_unowned) as unowned
    from {{ ref('fct_content_items_open') }} as items
),

listings as (
    select
        count(*) filter (where all_listings.is_suppressed) as suppressed,
        count(*) filter (where all_listings.error_count > 0) as faulty
    from {{ ref('stg_amazon__listings') }} as all_listings
),

measures as (
    select
        'airtable.content_calendar' as source,
        measures.measure,
        measures.numerator
    from content
    cross join
        lateral (
            values
            ('content_items_overdue', content.overdue),
            ('content_items_unowned', content.unowned)
        ) as measures (measure, numerator)
    union all
    select
        'amazon.listings' as source,
        measures.measure,
        measures.numerator
    from listings
    cross join
        lateral (
            values
            ('suppressed_listings', listings.suppressed),
            ('listings_with_errors', listings.faulty)
        ) as measures (measure, numerator)
)

select
    {{ as_of_day() }} as snapshot_day,
    measures.measure,
    'all' as dimension,
    'all' as dimension_value,
    case when freshness.is_fresh then measures.numerator end::numeric as numerator,
    null::numeric as denominator
from measures
inner join freshness on measures.source = freshness.source

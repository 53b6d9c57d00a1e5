{{ config(
    unique_key='content_entry_id',
    indexes=[{'columns': ['content_entry_id'], 'unique': true}],
) }}

-- Content that has not appeared and was not given up. A status nobody listed counts as open.
with items as (
    select
        entries.*,
        {{ company_day('entries.publish_at') }} as publish_day
    from {{ ref('stg_airtable__content_calendar') }} as entries
    left join {{ ref('work_statuses') }} as statuses
        on
            statuses.entity = 'content_calendar'
            and lower(entries.status) = statuses.status
    where coalesce(statuses.state, 'open') = 'open'
)

select
    items.content_entry_id,
    items.title,
    items.channel,
    items.status,
    items.campaign,
    items.publish_at,
    items.publish_day,
    coalesce(items.publish_at < {{ as_of() }}, false) as is_overdue,
    case when items.publish_at < {{ as_of() }} then {{ as_of_day() }} - items.publish_day end as days_overdue,
    items.owner_email is null and items.owner_name is null as is_unowned,
    items.publish_day is null as is_undated,
    split_part(items.owner_name, ' ', 1) as owner,
    -- The first thing that is wrong with it.
    case
        when items.publish_at < {{ as_of() }} then 'overdue'
        when items.owner_email is null and items.owner_name is null then 'unowned'
        when items.publish_day is null then 'undated'
    end as needs,
    items.created_at
from items

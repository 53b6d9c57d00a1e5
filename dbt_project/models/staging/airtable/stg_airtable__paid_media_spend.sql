{{ config(
    unique_key='paid_media_spend_id',
    scope='paid_media_spend_id',
    changed_by={'paid_media_spend': 'id'},
    indexes=[{'columns': ['paid_media_spend_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_airtable', 'paid_media_spend')) }}
)

select
    changed.id as paid_media_spend_id,
    r.base_id,
    r.record_id,
    r.channel,
    r.campaign,
    {{ cell_day('r.spent_on') }} as spent_on,
    r.spend,
    r.currency,
    r.impressions,
    r.clicks,
    r.conversions,
    r.conversion_value,
    {{ failed_formulas('r.problems') }} as failed_formulas,
    r.created_time as created_at
from changed
cross join
    jsonb_to_record(changed.payload) as r (
        base_id text,
        record_id text,
        channel text,
        campaign text,
        spent_on text,
        spend numeric,
        currency text,
        impressions numeric,
        clicks numeric,
        conversions numeric,
        conversion_value numeric,
        problems jsonb,
        created_time timestamptz
    )

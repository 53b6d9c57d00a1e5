{{ config(
    indexes=[{'columns': ['paid_media_spend_id'], 'unique': true}],
    pre_hook="{{ forget_unlike_raw(source('raw_airtable', 'paid_media_spend'), 'paid_media_spend_id') }}",
    post_hook="{{ analyze_when_new() }}",
) }}

with unparsed as (
    {{ unparsed(source('raw_airtable', 'paid_media_spend'), 'paid_media_spend_id') }}
)

select
    unparsed.id as paid_media_spend_id,
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
    r.created_time as created_at,
    unparsed._sync_id,
    unparsed._version
from unparsed
cross join
    jsonb_to_record(unparsed.payload) as r (
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

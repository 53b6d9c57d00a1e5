{{ config(
    unique_key='survey_answer_id',
    scope='survey_answer_id',
    changed_by={'feedback_submissions': 'id'},
    indexes=[{'columns': ['survey_answer_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_hubspot', 'feedback_submissions')) }}
)

select
    changed.id as survey_answer_id,
    p.hs_survey_type as survey_type,
    p.hs_survey_id as survey_id,
    p.hs_survey_channel as channel,
    p.hs_value as rating,
    p.hs_response_group as response_group,
    p.hs_submission_timestamp as submitted_at,
    p.hs_createdate as created_at,
    p.hs_lastmodifieddate as updated_at
from changed
cross join jsonb_to_record(changed.payload -> 'properties') as p (
    hs_survey_type text,
    hs_survey_id text,
    hs_survey_channel text,
    hs_value text,
    hs_response_group text,
    hs_submission_timestamp timestamptz,
    hs_createdate timestamptz,
    hs_lastmodifieddate timestamptz
)

{{ config(
    unique_key='survey_answer_id',
    scope='survey_answer_id',
    changed_by={'stg_hubspot__survey_answers': 'survey_answer_id'},
    indexes=[{'columns': ['survey_answer_id'], 'unique': true}, {'columns': ['date']}],
) }}

-- What customers answered, by how content they were. HubSpot groups the answers of every survey; where it did not, the
-- rating of a satisfaction survey says it: 2 happy, 1 neutral, 0 unhappy.
with answers as (
    select
        said.survey_answer_id,
        lower(said.survey_type) as survey,
        coalesce(lower(said.channel), 'none') as channel,
        upper(said.response_group) as response_group,
        case when upper(said.survey_type) = 'CSAT' and said.rating ~ '^[012](\.0+)?$' then left(said.rating, 1) end
            as rating,
        {{ company_day('coalesce(said.submitted_at, said.created_at)') }} as date
    from {{ ref('stg_hubspot__survey_answers') }} as said
    where
        said.survey_type is not null
        and {{ in_scope('said.survey_answer_id') }}
)

select
    answers.survey_answer_id,
    answers.survey,
    answers.channel,
    answers.date,
    case
        when answers.response_group = 'PROMOTER' then 'satisfied'
        when answers.response_group = 'PASSIVE' then 'neutral'
        when answers.response_group = 'DETRACTOR' then 'dissatisfied'
        when answers.rating = '2' then 'satisfied'
        when answers.rating = '1' then 'neutral'
        when answers.rating = '0' then 'dissatisfied'
    end as verdict
from answers
where answers.date is not null

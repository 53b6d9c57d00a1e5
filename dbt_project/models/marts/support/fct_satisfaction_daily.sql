{{ config(
    unique_key=['date', 'survey', 'channel'],
    scope='date',
    changed_by={'int_survey_answers': 'date'},
    indexes=[{'columns': ['date', 'survey', 'channel'], 'unique': true}],
) }}

select
    answers.date,
    answers.survey,
    answers.channel,
    count(*) as answers,
    count(*) filter (where answers.verdict is not null) as rated,
    count(*) filter (where answers.verdict = 'satisfied') as satisfied,
    count(*) filter (where answers.verdict = 'neutral') as neutral,
    count(*) filter (where answers.verdict = 'dissatisfied') as dissatisfied
from {{ ref('int_survey_answers') }} as answers
where {{ in_scope('answers.date') }}
group by answers.date, answers.survey, answers.channel

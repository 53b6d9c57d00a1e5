{{ config(changed_by={'int_partner_questions': 'posted_day..answered_day', 'fct_factory_messages': []}) }}

-- At the close of past days, from the record; on the clock's own day, what is open at the clock.
with open_days as (
    select day.date::date as date
    from {{ ref('int_partner_questions') }} as questions
    cross join
        generate_series(
            questions.posted_day::timestamp,
            least(
                coalesce(questions.answered_day, {{ as_of_day() }}) - 1,
                questions.posted_day + {{ threshold('factory_message_window_hours', 72) }}::int / 24 - 1,
                {{ as_of_day() }} - 1
            )::timestamp,
            interval '1 day'
        ) as day (date)

    union all

    select {{ as_of_day() }} as date
    from {{ ref('fct_factory_messages') }}
)

select
    open_days.date,
    'all' as dimension,
    'all' as dimension_value,
    count(*)::numeric as value,
    count(*)::numeric as numerator,
    null::numeric as denominator
from open_days
group by open_days.date

{{ config(
    unique_key=['date', 'source'],
    scope='date',
    changed_by={'int_app_signups': ['signup_day', 'matures_day']},
    indexes=[{'columns': ['date', 'source'], 'unique': true}],
) }}

with signed_up as (
    select
        signups.signup_day as date,
        signups.signup_source as source,
        count(*) as signups
    from {{ ref('int_app_signups') }} as signups
    where {{ in_scope('signups.signup_day') }}
    group by signups.signup_day, signups.signup_source
),

-- A day's sign-ups are judged once, on the day their time to subscribe is over, and not again.
matured as (
    select
        signups.matures_day as date,
        signups.signup_source as source,
        count(*) as matured_signups,
        count(*) filter (where signups.is_converted) as converted_signups
    from {{ ref('int_app_signups') }} as signups
    where {{ in_scope('signups.matures_day') }}
    group by signups.matures_day, signups.signup_source
)

select
    coalesce(signed_up.date, matured.date) as date,
    coalesce(signed_up.source, matured.source) as source,
    coalesce(signed_up.signups, 0) as signups,
    coalesce(matured.matured_signups, 0) as matured_signups,
    coalesce(matured.converted_signups, 0) as converted_signups
from signed_up
full outer join matured on signed_up.date = matured.date and signed_up.source = matured.source

{{ config(
    unique_key='subscription_id',
    scope='subscription_id',
    changed_by={'stg_app__subscriptions': 'subscription_id'},
    indexes=[{'columns': ['subscription_id'], 'unique': true}, {'columns': ['user_id']}, {'columns': ['paid_from']}],
) }}

-- When each subscription brought money, and how much a month. It pays from the end of its trial to the day it is
-- cancelled, whatever was paid in advance: who has cancelled will not renew. A trial pays nothing; a card that is
-- tried again (past_due) still counts. The rate is that of the first day, so that exchange rates are no growth.
with subscriptions as (
    select
        stated.*,
        {{ company_day('stated.created_at') }} as started_day,
        {{ company_day('coalesce(stated.trial_ends_at, stated.created_at)') }} as trial_over_day,
        case
            when stated.canceled_at is not null then {{ company_day('stated.canceled_at') }}
            when stated.status = 'canceled' then {{ company_day('stated.updated_at') }}
        end as ended_day,
        stated.amount / case stated.billing_period
            when 'month' then 1
            when 'quarter' then 3
            when 'year' then 12
        end as monthly_amount
    from {{ ref('stg_app__subscriptions') }} as stated
    where {{ in_scope('stated.subscription_id') }}
),

paying as (
    select
        subscriptions.*,
        case
            when
                subscriptions.status in ('active', 'past_due', 'canceled')
                and coalesce(subscriptions.ended_day > subscriptions.trial_over_day, true)
                then subscriptions.trial_over_day
        end as paid_from
    from subscriptions
)

select
    paying.subscription_id,
    paying.user_id,
    paying.plan,
    paying.status,
    paying.billing_period,
    paying.started_day,
    paying.paid_from,
    paying.ended_day,
    -- The last day at whose close it paid; NULL while it does.
    case when paying.paid_from is not null then paying.ended_day - 1 end as paid_until,
    paying.currency,
    paying.amount,
    round(
        paying.monthly_amount * case when paying.currency = {{ company_currency() }} then 1 else fx.rate end, 2
    ) as mrr
from paying
left join {{ ref('int_fx_rates') }} as fx
    on
        paying.currency = fx.currency
        and coalesce(paying.paid_from, paying.started_day) >= fx.valid_from
        and coalesce(paying.paid_from, paying.started_day) < fx.valid_to

{{ config(
    unique_key='subscription_id',
    scope='subscription_id',
    changed_by={'subscriptions': 'id'},
    indexes=[{'columns': ['subscription_id'], 'unique': true}],
) }}

with changed as (
    {{ live_rows(source('raw_app', 'subscriptions')) }}
)

select
    changed.id as subscription_id,
    s.user_id,
    s.plan,
    lower(s.status) as status,
    lower(s.billing_period) as billing_period,
    s.amount,
    upper(s.currency) as currency,
    s.created_at,
    s.updated_at,
    s.trial_ends_at,
    s.current_period_start,
    s.current_period_end,
    s.canceled_at,
    nullif(s.cancel_reason, '') as cancel_reason
from changed
cross join jsonb_to_record(changed.payload) as s (
    user_id text,
    plan text,
    status text,
    billing_period text,
    amount numeric,
    currency text,
    created_at timestamptz,
    updated_at timestamptz,
    trial_ends_at timestamptz,
    current_period_start timestamptz,
    current_period_end timestamptz,
    canceled_at timestamptz,
    cancel_reason text
)

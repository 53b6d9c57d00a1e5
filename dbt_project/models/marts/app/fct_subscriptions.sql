{{ config(
    unique_key='subscription_id',
    scope='subscription_id',
    changed_by={'int_app_subscriptions': 'subscription_id'},
    indexes=[{'columns': ['subscription_id'], 'unique': true}],
) }}

select
    subscriptions.subscription_id,
    subscriptions.user_id,
    subscriptions.plan,
    subscriptions.status,
    subscriptions.billing_period,
    subscriptions.started_day,
    subscriptions.paid_from,
    subscriptions.ended_day,
    subscriptions.currency,
    subscriptions.amount,
    subscriptions.mrr,
    {{ company_currency() }} as company_currency
from {{ ref('int_app_subscriptions') }} as subscriptions
where {{ in_scope('subscriptions.subscription_id') }}

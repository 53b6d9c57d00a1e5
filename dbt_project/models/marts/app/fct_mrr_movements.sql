{{ config(
    unique_key=['user_id', 'date'],
    scope='user_id',
    changed_by={'int_app_mrr_changes': 'user_id'},
    indexes=[{'columns': ['user_id', 'date'], 'unique': true}, {'columns': ['date']}],
) }}

select
    changes.user_id,
    changes.date,
    changes.movement,
    changes.mrr_change,
    changes.mrr_after,
    changes.subscriptions_after,
    {{ company_currency() }} as currency
from {{ ref('int_app_mrr_changes') }} as changes
where
    changes.movement <> 'none'
    and {{ in_scope('changes.user_id') }}

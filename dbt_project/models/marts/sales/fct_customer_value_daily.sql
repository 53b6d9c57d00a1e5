{{ config(
    unique_key='date',
    scope='date',
    changed_by={'int_customer_order_ages': 'matures_on', 'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

-- Customers whose first ninety days ended on the day, with what they bought in them. A customer who is still in them
-- is not counted yet: a share that includes the unripe is always too low.
select
    ages.matures_on as date,
    min(ages.first_order_day) as first_order_day,
    {{ company_currency() }} as currency,
    count(distinct ages.customer_id)::bigint as customers,
    count(distinct ages.customer_id) filter (where ages.standing_order_number > 1)::bigint as repeat_customers,
    count(*)::bigint as orders,
    {{ complete_sum('ages.net_amount_company') }} as sales_amount
from {{ ref('int_customer_order_ages') }} as ages
where
    ages.age_days between 0 and 89
    and ages.matures_on < {{ as_of_day() }}
    and {{ in_scope('ages.matures_on') }}
group by ages.matures_on

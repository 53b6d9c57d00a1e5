{{ config(
    unique_key=['cohort_month', 'order_month'],
    scope='order_month',
    changed_by={'int_customer_order_ages': 'order_month'},
    indexes=[{'columns': ['order_month']}, {'columns': ['cohort_month', 'order_month'], 'unique': true}],
) }}

select
    ages.cohort_month,
    ages.order_month,
    (
        (extract(year from ages.order_month) - extract(year from ages.cohort_month)) * 12
        + extract(month from ages.order_month) - extract(month from ages.cohort_month)
    )::int as months_since_first,
    {{ company_currency() }} as currency,
    count(distinct ages.customer_id)::bigint as customers,
    count(*)::bigint as orders,
    {{ complete_sum('ages.net_amount_company') }} as sales_amount
from {{ ref('int_customer_order_ages') }} as ages
where {{ in_scope('ages.order_month') }}
group by ages.cohort_month, ages.order_month

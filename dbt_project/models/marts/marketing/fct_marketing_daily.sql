{{ config(
    unique_key='date',
    scope='date',
    changed_by={'fct_sales_daily': 'date', 'fct_paid_media_daily': 'date', 'fct_email_daily': 'date'},
    indexes=[{'columns': ['date'], 'unique': true}],
) }}

with sales as (
    select
        daily.date,
        {{ complete_sum('daily.sales_amount') }} as sales_amount,
        {{ complete_sum('daily.net_amount') }} as net_sales
    from {{ ref('fct_sales_daily') }} as daily
    where {{ in_scope('daily.date') }}
    group by daily.date
),

media as (
    select
        daily.date,
        {{ complete_sum('daily.spend') }} as ad_spend,
        {{ complete_sum('daily.revenue') }} as ad_revenue
    from {{ ref('fct_paid_media_daily') }} as daily
    where {{ in_scope('daily.date') }}
    group by daily.date
),

email as (
    select
        daily.date,
        {{ complete_sum('daily.revenue') }} as email_revenue
    from {{ ref('fct_email_daily') }} as daily
    where {{ in_scope('daily.date') }}
    group by daily.date
),

firsts as (
    select
        (select min(daily.date) from {{ ref('fct_paid_media_daily') }} as daily) as media_day,
        (select min(daily.date) from {{ ref('fct_email_daily') }} as daily) as email_day
)

-- From the first day of each on, a day without is zero; before it nothing is known.
select
    sales.date,
    sales.sales_amount,
    sales.net_sales,
    case when media.date is null and sales.date >= firsts.media_day then 0 else media.ad_spend end as ad_spend,
    case when media.date is null and sales.date >= firsts.media_day then 0 else media.ad_revenue end as ad_revenue,
    case
        when email.date is null and sales.date >= firsts.email_day then 0
        else email.email_revenue
    end as email_revenue,
    {{ company_currency() }} as currency
from sales
cross join firsts
left join media on sales.date = media.date
left join email on sales.date = email.date

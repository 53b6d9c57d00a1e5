{{ config(
    unique_key=['sku', 'date'],
    scope='date',
    changed_by={'fct_order_lines': 'sales_day'},
    indexes=[{'columns': ['date']}, {'columns': ['sku', 'date'], 'unique': true}],
) }}

-- What one unit of each SKU cost in our own shop on a day it sold there, before discounts: the middle one of the
-- day's lines.
select
    lines.sku,
    lines.sales_day as date,
    percentile_disc(0.5) within group (order by round(lines.gross_amount_company / lines.quantity, 4)) as price
from {{ ref('fct_order_lines') }} as lines
where
    lines.sku is not null
    and lines.channel = 'web'
    and lines.quantity > 0
    and lines.gross_amount_company > 0
    and {{ in_scope('lines.sales_day') }}
group by lines.sku, lines.sales_day

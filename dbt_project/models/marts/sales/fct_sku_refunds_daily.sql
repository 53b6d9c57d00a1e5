{{ config(
    unique_key=['date', 'sku'],
    indexes=[{'columns': ['date', 'sku'], 'unique': true}],
) }}

-- Each SKU on the days on which some of it was paid back, over three days, beside its usual of the 91 days before. A
-- bad batch is a handful of refunds: plain to see on its SKU, lost in the refunds of all. Cancelled orders are no
-- returns.
with returned as (
    select
        refunds.refund_day as date,
        lines.sku,
        count(*) as refund_lines,
        sum(refund_lines.quantity) as units,
        {{ complete_sum('refund_lines.quantity * lines.net_amount_company / nullif(lines.quantity, 0)') }} as amount
    from {{ ref('stg_shopify__refund_lines') }} as refund_lines
    inner join {{ ref('fct_refunds') }} as refunds on refund_lines.refund_id = refunds.refund_id
    inner join {{ ref('fct_order_lines') }} as lines on refund_lines.order_line_id = lines.order_line_id
    where
        lines.sku is not null
        and not refunds.is_cancelled
    group by refunds.refund_day, lines.sku
),

compared as (
    select
        returned.date,
        returned.sku,
        returned.refund_lines,
        sum(returned.refund_lines) over of_three_days as refund_lines_3d,
        sum(returned.units) over of_three_days as units_3d,
        case
            when count(*) filter (where returned.amount is null) over of_three_days = 0
                then sum(returned.amount) over of_three_days
        end as amount_3d,
        coalesce(sum(returned.refund_lines) over before, 0) * 3.0 / 91 as usual_refund_lines_3d
    from returned
    window
        of_three_days as (
            partition by returned.sku
            order by returned.date range between interval '2 days' preceding and current row
        ),
        before as (
            partition by returned.sku
            order by returned.date range between interval '93 days' preceding and interval '3 days' preceding
        )
)

select
    compared.date,
    compared.sku,
    compared.refund_lines,
    compared.refund_lines_3d::bigint as refund_lines_3d,
    compared.units_3d::bigint as units_3d,
    compared.amount_3d,
    {{ company_currency() }} as currency,
    round(compared.usual_refund_lines_3d, 4) as usual_refund_lines_3d,
    -- What never comes back has no usual; one in three weeks is the least that is told apart from none.
    round(compared.refund_lines_3d / greatest(compared.usual_refund_lines_3d, 3.0 / 21), 4) as refund_factor
from compared

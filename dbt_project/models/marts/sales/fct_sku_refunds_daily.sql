{{ config(
    unique_key=['date', 'sku'],
    scope='date',
    changed_by={'int_refunded_lines': 'since date'},
    indexes=[{'columns': ['date', 'sku'], 'unique': true}],
) }}

-- Each SKU on the days on which some of it was paid back, over three days, beside its usual of the 91 days before. A
-- bad batch is a handful of refunds: plain to see on its SKU, lost in the refunds of all.
with returned as (
    select
        lines.date,
        lines.sku,
        count(*) as refund_lines
    from {{ ref('int_refunded_lines') }} as lines
    where {{ in_scope('lines.date') }}
    group by lines.date, lines.sku
),

compared as (
    select
        returned.date,
        returned.sku,
        returned.refund_lines,
        count(*) filter (where lines.date > returned.date - 3) as refund_lines_3d,
        sum(lines.quantity) filter (where lines.date > returned.date - 3) as units_3d,
        case
            when count(*) filter (where lines.date > returned.date - 3 and lines.amount is null) = 0
                then sum(lines.amount) filter (where lines.date > returned.date - 3)
        end as amount_3d,
        count(*) filter (where lines.date <= returned.date - 3) * 3.0 / 91 as usual_refund_lines_3d
    from returned
    inner join {{ ref('int_refunded_lines') }} as lines
        on
            returned.sku = lines.sku
            and lines.date between returned.date - 93 and returned.date
    group by returned.date, returned.sku, returned.refund_lines
)

select
    compared.date,
    compared.sku,
    compared.refund_lines,
    compared.refund_lines_3d,
    compared.units_3d::bigint as units_3d,
    compared.amount_3d,
    {{ company_currency() }} as currency,
    round(compared.usual_refund_lines_3d, 4) as usual_refund_lines_3d,
    -- What never comes back has no usual; one in three weeks is the least that is told apart from none.
    round(compared.refund_lines_3d / greatest(compared.usual_refund_lines_3d, 3.0 / 21), 4) as refund_factor
from compared

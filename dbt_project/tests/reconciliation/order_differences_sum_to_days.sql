-- Every order the days of the reconciliation count as missing or doubled is named, and no other.
with named as (
    select
        differences.date,
        count(*) filter (where differences.finding = 'missing_in_erp') as missing_in_erp,
        count(*) filter (where differences.finding = 'doubled_in_erp') as doubled_in_erp,
        count(*) filter (where differences.finding = 'other_amount') as other_amount
    from {{ ref('fct_erp_shop_order_differences') }} as differences
    group by differences.date
)

select
    days.date,
    days.missing_in_erp,
    named.missing_in_erp as named_missing_in_erp,
    days.doubled_in_erp,
    named.doubled_in_erp as named_doubled_in_erp
from {{ ref('fct_erp_shop_reconciliation') }} as days
left join named on days.date = named.date
where
    days.missing_in_erp <> coalesce(named.missing_in_erp, 0)
    or days.doubled_in_erp <> coalesce(named.doubled_in_erp, 0)
    or days.other_amount <> coalesce(named.other_amount, 0)

{{ config(
    unique_key='issue_id',
    indexes=[{'columns': ['issue_id'], 'unique': true}, {'columns': ['closed_day']}],
) }}

-- Work orders that say of a purchase order it is done, while the ERP still expects goods of it.
with expected as (
    select
        purchase_orders.purchase_order_number,
        sum(purchase_orders.quantity - purchase_orders.quantity_received) as units_expected
    from {{ ref('stg_netsuite__purchase_orders') }} as purchase_orders
    where
        not purchase_orders.is_closed
        and purchase_orders.quantity > purchase_orders.quantity_received
    group by purchase_orders.purchase_order_number
)

select
    issues.issue_id,
    issues.repository,
    issues.issue_number,
    issues.closed_day,
    expected.purchase_order_number,
    expected.units_expected,
    issues.url
from {{ ref('int_github_issues') }} as issues
inner join expected on issues.named_document = expected.purchase_order_number
where
    not issues.is_open
    and issues.is_completed

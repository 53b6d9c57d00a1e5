-- ERP revenue by day sums to the sales documents, and cash sales and invoices to the revenue.
with daily as (
    select
        coalesce(sum(days.revenue), 0) as revenue,
        coalesce(sum(days.cash_sale_revenue + days.invoice_revenue), 0) as by_type,
        coalesce(sum(days.orders), 0) as orders
    from {{ ref('fct_erp_revenue_daily') }} as days
),

documents as (
    select
        coalesce(sum(transactions.revenue), 0) as revenue,
        count(*) as orders
    from {{ ref('int_erp_transactions') }} as transactions
    where transactions.is_sale
)

select
    daily.revenue,
    documents.revenue as documents_revenue
from daily
cross join documents
where
    daily.revenue <> documents.revenue
    or daily.by_type <> daily.revenue
    or daily.orders <> documents.orders

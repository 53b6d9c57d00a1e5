{{ config(
    unique_key='invoice_number',
    indexes=[{'columns': ['invoice_number'], 'unique': true}, {'columns': ['date']}],
) }}

-- Business invoices of the ERP that the CRM tells otherwise: no won deal is of the invoice, or its deals are of another
-- amount. Only while both are read, and not before the CRM's first deal of an invoice.
with deals as (
    select
        all_deals.erp_invoice_number,
        count(*) as deals,
        {{ complete_sum('all_deals.amount_company') }} as amount_company
    from {{ ref('fct_deals') }} as all_deals
    where
        all_deals.is_won
        and all_deals.erp_invoice_number is not null
    group by all_deals.erp_invoice_number
),

history as (
    select min(all_deals.closed_day) as first_day
    from {{ ref('fct_deals') }} as all_deals
    where all_deals.erp_invoice_number is not null
),

compared as (
    select
        invoices.transaction_number as invoice_number,
        invoices.transaction_day as date,
        invoices.revenue as invoice_amount,
        coalesce(deals.deals, 0) as deals,
        deals.amount_company as deal_amount,
        case
            when deals.erp_invoice_number is null then 'no_deal'
            when deals.amount_company is null then 'unknown_amount'
            when
                abs(deals.amount_company - invoices.revenue) > greatest(
                    {{ threshold('erp_shop_tolerance_amount', 50) }},
                    abs(invoices.revenue) * {{ threshold('erp_shop_tolerance_share', 0.01) }}
                ) then 'other_amount'
        end as finding
    from {{ ref('int_erp_transactions') }} as invoices
    cross join history
    left join deals on invoices.transaction_number = deals.erp_invoice_number
    where
        invoices.transaction_type = 'CustInvc'
        and invoices.shop_order_name is null
        and invoices.transaction_day >= history.first_day
)

select
    compared.invoice_number,
    compared.date,
    compared.finding,
    compared.deals,
    compared.invoice_amount,
    compared.deal_amount,
    case
        when compared.finding = 'no_deal' then -compared.invoice_amount
        else compared.deal_amount - compared.invoice_amount
    end as difference_amount,
    {{ company_currency() }} as currency
from compared
where compared.finding is not null

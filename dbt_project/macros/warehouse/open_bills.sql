{#- The documents still to be paid on one side of the books (payable, receivable) at the clock, each with its age. `party`
    is what the other side is called there: supplier_id, customer_id. -#}
{% macro open_bills(side, party) -%}
    select
        bills.transaction_id,
        bills.transaction_number,
        bills.transaction_type,
        bills.party_id as {{ party }},
        bills.document_day,
        bills.due_day,
        greatest({{ as_of_day() }} - bills.due_day, 0) as days_overdue,
        {{ ageing_bucket(as_of_day() ~ ' - bills.due_day') }} as bucket,
        bills.currency,
        bills.total_amount,
        bills.open_amount,
        bills.open_amount_company,
        {{ company_currency() }} as company_currency
    from {{ ref('int_erp_bills') }} as bills
    where
        bills.side = '{{ side }}'
        and bills.is_open
        and bills.document_day <= {{ as_of_day() }}
{%- endmacro %}

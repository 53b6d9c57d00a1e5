{{ daily_sum(ref('fct_erp_revenue_daily'), 'invoice_revenue') }}

{{ daily_sum('fct_erp_revenue_daily', 'orders') }}

{{ daily_ratio(ref('fct_erp_revenue_daily'), 'daily.revenue - daily.cogs', 'daily.revenue') }}

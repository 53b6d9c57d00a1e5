{{ daily_ratio('fct_erp_revenue_daily', 'daily.revenue - daily.cogs', 'daily.revenue') }}

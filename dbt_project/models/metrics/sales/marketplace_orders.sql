{{ daily_sum('fct_marketplace_sales_daily', 'orders', dimensions=['fulfilled_by']) }}

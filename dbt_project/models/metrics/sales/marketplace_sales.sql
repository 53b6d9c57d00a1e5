{{ daily_sum('fct_marketplace_sales_daily', 'sales_amount', dimensions=['fulfilled_by']) }}

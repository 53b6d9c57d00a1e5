{{ daily_sum('fct_marketplace_sales_daily', 'units', dimensions=['fulfilled_by']) }}

{{ daily_sum(ref('fct_marketplace_sales_daily'), 'units', dimensions=['fulfilled_by']) }}

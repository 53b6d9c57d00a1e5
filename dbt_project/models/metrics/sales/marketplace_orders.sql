{{ daily_sum(ref('fct_marketplace_sales_daily'), 'orders', dimensions=['fulfilled_by']) }}

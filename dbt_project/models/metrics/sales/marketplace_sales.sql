{{ daily_sum(ref('fct_marketplace_sales_daily'), 'sales_amount', dimensions=['fulfilled_by']) }}

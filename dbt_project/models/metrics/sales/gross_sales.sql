{{ daily_sum(ref('fct_sales_daily'), 'gross_amount') }}

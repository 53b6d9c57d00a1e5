{{ daily_sum(ref('fct_sales_daily'), 'unpriced_lines') }}

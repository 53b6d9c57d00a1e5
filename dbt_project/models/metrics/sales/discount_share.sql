{{ daily_ratio('fct_sales_daily', 'daily.discount_amount', 'daily.gross_amount') }}

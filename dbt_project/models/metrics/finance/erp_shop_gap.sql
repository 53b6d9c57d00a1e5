{{ daily_sum('fct_erp_shop_reconciliation', 'gap_amount') }}

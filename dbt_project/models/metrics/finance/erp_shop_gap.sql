{{ daily_sum(ref('fct_erp_shop_reconciliation'), 'gap_amount') }}

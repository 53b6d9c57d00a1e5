{{ daily_count(ref('fct_work_orders_untrue'), 'closed_day') }}

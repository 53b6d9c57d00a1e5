{{ daily_count('fct_work_orders_untrue', 'closed_day') }}

{{ daily_ratio('fct_signups_daily', 'daily.converted_signups', 'daily.matured_signups', dimensions=['source']) }}

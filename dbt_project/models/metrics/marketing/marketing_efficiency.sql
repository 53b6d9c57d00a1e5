{{ daily_ratio('fct_marketing_daily', 'daily.net_sales', 'daily.ad_spend', where="daily.ad_spend is not null") }}

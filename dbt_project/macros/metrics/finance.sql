{#-
Shapes of finance's own metrics. What metrics of several divisions share is in daily.sql.
-#}

{#- The days it takes to turn over what is owed on one side of the books (payable, receivable): the amount open at the
    close of the day, in days of what was billed. Nothing billed: no number of days. -#}
{% macro days_outstanding(side) -%}
    {{- config(changed_by={'fct_working_capital_daily': 'date'}) -}}
    select
        daily.date,
        'all' as dimension,
        'all' as dimension_value,
        round(daily.open_amount * daily.turnover_days / nullif(daily.billed_amount, 0), 8) as value,
        daily.open_amount * daily.turnover_days as numerator,
        daily.billed_amount as denominator
    from {{ ref('fct_working_capital_daily') }} as daily
    where daily.side = '{{ side }}'
{%- endmacro %}

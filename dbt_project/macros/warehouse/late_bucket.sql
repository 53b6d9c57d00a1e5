{#- The ageing bucket of an order that waits, by its age in whole days. Custom orders have their own: their age
    says nothing about lateness. -#}
{% macro late_bucket(age_days, is_custom) -%}
    case
        when {{ is_custom }} then 'custom'
        when {{ age_days }} < {{ threshold('late_watch_days', 7) }} then 'in_time'
        when {{ age_days }} < {{ threshold('late_attention_days', 14) }} then 'watch'
        when {{ age_days }} < {{ threshold('late_warning_days', 21) }} then 'attention'
        when {{ age_days }} < {{ threshold('late_critical_days', 30) }} then 'warning'
        else 'critical'
    end
{%- endmacro %}

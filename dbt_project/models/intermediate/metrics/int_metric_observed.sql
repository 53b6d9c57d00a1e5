{{ config(
    unique_key=['metric_id', 'date', 'dimension', 'dimension_value'],
    scope='date',
    changed_by={'int_clock': []},
    recent_days=1,
    indexes=[{'columns': ['series_id', 'date'], 'unique': true}, {'columns': ['date']}],
) }}

{#- The list is written by `python -m ops_platform.warehouse.metric_union` from the files in models/metrics. -#}
{% set metric_models = [
    'amounts_without_rate',
    'average_order_value',
    'cancelled_lines',
    'days_of_supply',
    'discount_amount',
    'discount_share',
    'erp_orders',
    'erp_revenue',
    'erp_shop_gap',
    'factory_messages_unanswered',
    'gross_margin_rate',
    'gross_sales',
    'high_value_late_orders',
    'inventory_units',
    'inventory_value',
    'key_sku_supply_share',
    'late_orders',
    'lines_without_customer',
    'net_sales',
    'new_customers',
    'order_lines',
    'order_to_ship_hours',
    'orders',
    'orders_pending',
    'orders_shipped',
    'purchase_orders_overdue',
    'refund_rate',
    'refunds',
    'repeat_order_share',
    'returned_lines',
    'revenue_plan_attainment',
    'skus_out_of_stock',
    'skus_overstock',
    'skus_stock_critical',
    'skus_stock_warning',
    'skus_stock_watch',
    'units_sold',
    'unpriced_lines',
] %}

-- What the metrics' own files give: the days on which something was observed. Each file says by which days of its
-- mart it changes.
with observed as (
    {% for metric_model in metric_models %}
        select
            '{{ metric_model }}' as metric_id,
            {{ metric_model }}.date,
            {{ metric_model }}.dimension,
            {{ metric_model }}.dimension_value,
            {{ metric_model }}.value,
            {{ metric_model }}.numerator,
            {{ metric_model }}.denominator
        from {{ ref(metric_model) }} as {{ metric_model }}
        where {{ in_scope(metric_model ~ '.date') }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
)

select
    observed.metric_id,
    observed.metric_id || ' ' || observed.dimension || ' ' || observed.dimension_value as series_id,
    observed.date,
    observed.dimension,
    observed.dimension_value,
    observed.value,
    observed.numerator,
    observed.denominator
from observed

-- A small warehouse by hand: the relations evidence reads beside those of metrics.sql, with the columns it reads, and
-- figures anybody can add up.
-- The morning is Friday 20 November 2026, 06:00 in New York; every sync started at 05:40.

create table marts.fct_business_health_daily (
    date date, score numeric, score_low numeric, score_high numeric, coverage numeric
);
create table marts.fct_business_health_attribution (
    date date, component text, label text, nominal_weight numeric, weight numeric, attainment numeric,
    previous_attainment numeric, contribution_change numeric, status text, unknown_since date
);
create table marts.fct_inventory_position (
    sku text, product_name text, available numeric, days_of_supply numeric, velocity_30d numeric, severity text,
    covered_by_po boolean
);
create table marts.fct_factory_messages (
    channel text, partner text, author text, posted_at timestamptz, text text, hours_waiting numeric
);

insert into metrics.dim_metric
(metric_id, label, unit, direction, aggregation, currency, target, minimum_effect, division, sources, in_pulse, kind)
values
('net_sales', 'Net sales', 'money', 'up_is_good', 'sum', 'USD', null, 500, 'sales', '{shopify.orders}', true, 'flow'),
('orders', 'Orders', 'count', 'up_is_good', 'sum', null, null, 5, 'sales', '{shopify.orders}', true, 'flow'),
('revenue_plan_attainment', 'Plan attainment', 'ratio', 'up_is_good', 'last', null, 1, 0.02, 'sales', '{shopify.orders}', true, 'flow'),
('refunds', 'Refunds', 'money', 'down_is_good', 'sum', 'USD', null, 250, 'Customer Support', '{shopify.orders}', true, 'flow'),
('orders_pending', 'Orders pending', 'count', 'down_is_good', 'last', null, null, 10, 'supply_chain', '{shopify.orders}', true, 'level'),
('late_orders', 'Late orders', 'count', 'down_is_good', 'last', null, 0, 3, 'supply_chain', '{shopify.orders}', true, 'level'),
('high_value_late_orders', 'High-value late orders', 'count', 'down_is_good', 'last', null, 0, 1, 'supply_chain', '{shopify.orders}', false, 'level'),
('skus_stock_critical', 'SKUs critical', 'count', 'down_is_good', 'last', null, 0, 1, 'supply_chain', '{netsuite.inventory_by_location}', true, 'snapshot'),
('skus_stock_warning', 'SKUs at warning', 'count', 'down_is_good', 'last', null, 0, 2, 'supply_chain', '{netsuite.inventory_by_location}', true, 'snapshot'),
('skus_stock_watch', 'SKUs to watch', 'count', 'down_is_good', 'last', null, null, 3, 'supply_chain', '{netsuite.inventory_by_location}', false, 'snapshot'),
('business_health', 'Business health', 'score', 'up_is_good', 'last', null, 80, 2, 'all', '{shopify.orders}', true, 'snapshot'),
('email_revenue', 'E-mail revenue', 'money', 'up_is_good', 'sum', 'USD', null, 100, 'marketing', '{klaviyo.campaigns}', true, 'flow');

-- Net sales: 1,000 a day from the 1st to the 18th of November, 1,500.505 on Thursday the 19th; plan 1,100 a day.
insert into metrics.fct_metric_daily
select 'net_sales', day::date, 'all', 'all', case when day::date = '2026-11-19' then 1500.505 else 1000 end, null, null,
       '2026-11-20 05:40-05', 'matched'
from generate_series('2026-11-01'::date, '2026-11-19'::date, interval '1 day') as day;
insert into metrics.fct_metric_daily values
('net_sales', '2026-11-19', 'channel', 'web', 900, null, null, '2026-11-20 05:40-05', 'matched'),
-- A row of today, as a build in the middle of the day would leave it: never shown as a day's number.
('net_sales', '2026-11-20', 'all', 'all', 77, null, null, '2026-11-20 05:40-05', 'matched'),
('orders', '2026-11-19', 'all', 'all', 30, null, null, '2026-11-20 05:40-05', 'matched'),
('orders', '2026-11-18', 'all', 'all', 24, null, null, '2026-11-20 05:40-05', 'matched'),
('orders', '2026-11-12', 'all', 'all', 40, null, null, '2026-11-20 05:40-05', 'matched'),
('revenue_plan_attainment', '2026-11-19', 'all', 'all', 0.93304569, 19500.505, 20900, '2026-11-20 05:40-05', 'matched'),
('refunds', '2026-11-19', 'all', 'all', 120, null, null, '2026-11-20 05:40-05', 'mismatched'),
('refunds', '2026-11-12', 'all', 'all', 100, null, null, '2026-11-20 05:40-05', 'matched'),
('orders_pending', '2026-11-20', 'all', 'all', 14, null, null, '2026-11-20 05:40-05', 'matched'),
('orders_pending', '2026-11-19', 'all', 'all', 11, null, null, '2026-11-20 05:40-05', 'matched'),
('late_orders', '2026-11-19', 'all', 'all', 6, null, null, '2026-11-20 05:40-05', 'matched'),
('late_orders', '2026-11-20', 'all', 'all', 7, null, null, '2026-11-20 05:40-05', 'matched'),
('late_orders', '2026-11-20', 'bucket', 'watch', 4, null, null, '2026-11-20 05:40-05', 'matched'),
('late_orders', '2026-11-20', 'bucket', 'critical', 3, null, null, '2026-11-20 05:40-05', 'matched'),
('high_value_late_orders', '2026-11-20', 'all', 'all', 1, null, null, '2026-11-20 05:40-05', 'matched'),
('skus_stock_critical', '2026-11-20', 'all', 'all', 2, null, null, '2026-11-20 05:40-05', 'matched'),
('skus_stock_critical', '2026-11-19', 'all', 'all', 0, null, null, '2026-11-20 05:40-05', 'matched'),
('skus_stock_warning', '2026-11-20', 'all', 'all', 1, null, null, '2026-11-20 05:40-05', 'matched'),
('skus_stock_watch', '2026-11-20', 'all', 'all', 0, null, null, '2026-11-20 05:40-05', 'matched'),
('business_health', '2026-11-20', 'all', 'all', 71.25, null, null, '2026-11-20 05:40-05', 'matched');

insert into marts.fct_business_health_daily values
('2026-11-19', 74.5, 74.5, 74.5, 1),
('2026-11-20', 71.25, 66.25, 81.25, 0.85);
insert into marts.fct_business_health_attribution values
('2026-11-20', 'order_trend', 'Order trend', 20, 23.5, 0.7, 0.9, -4.5, 'known', null),
('2026-11-20', 'revenue_velocity', 'Revenue velocity', 30, 35.3, 0.8, 0.75, 1.25, 'known', null),
('2026-11-20', 'stock_on_key_skus', 'Stock on key SKUs', 35, 41.2, 1, 1, 0, 'known', null),
('2026-11-20', 'support', 'Support', 15, 0, null, null, 9.99, 'unknown', '2026-11-17'),
('2026-11-20', 'retired', 'Retired', 0, 0, null, null, null, 'unknown', null);

insert into marts.fct_inventory_position values
('CABLE-9', 'Cable', 40, 11, 3.6, 'warning', false),
('DOCK-01', 'Dock <b>', 0, 0, 2.5, 'critical', false),
('PAD_7', 'Pad', 12, 4.8, 2.5, 'critical', false),
('CASE-2', 'Case', 3, 2, 9.0, 'critical', true),
('FULL-1', 'Full', 900, 300, 3.0, 'none', false);

insert into marts.fct_factory_messages values
('factory-shenzhen', 'Shenzhen Acoustics', 'Li Wei', '2026-11-19 21:00-05', 'Which <@U123> box, see https://x.example/a?', 9),
('partner-logistics', 'Harbour Freight', 'Ann', '2026-11-20 01:30-05', 'Container 7 waits: call +49 170 1234567', 4.5),
('factory-dongguan', 'Dongguan Plastics', 'Bo', '2026-11-20 09:00-05', 'Written after the pulse', 0);

insert into ops.cursors (vendor, stream, cursor, fresh_to, updated_at) values
('shopify', 'orders', 'x', '2026-11-20 05:40-05', '2026-11-20 05:41-05'),
('shopify', 'products', 'x', '2026-11-20 05:30-05', '2026-11-20 05:41-05'),
('netsuite', 'inventory_by_location', 'x', '2026-11-20 05:40-05', '2026-11-20 05:41-05'),
('slack', 'messages', 'x', '2026-11-20 05:45-05', '2026-11-20 05:46-05');
insert into ops.connections (vendor, connected, checked_at) values
('shopify', true, now()), ('netsuite', true, now()), ('slack', true, now()), ('klaviyo', false, now());
insert into ops.sync_runs (vendor, stream, status, started_at, inserted) values
('shopify', 'orders', 'succeeded', '2026-11-18 05:40-05', 10),
('shopify', 'orders', 'succeeded', '2026-11-19 05:40-05', 3),
('shopify', 'orders', 'failed', '2026-11-19 05:50-05', 5),
('shopify', 'orders', 'succeeded', '2026-11-20 05:40-05', 0);
insert into ops.token_ledger
(bot, cycle, purpose, model, tier, state, reserved_tokens, input_tokens, output_tokens, cache_read_tokens, created_at)
values
('coordinator', 'a', 'pulse', 'm', 'small', 'spent', 900, 700, 120, 80, '2026-11-19 07:00-05'),
('coordinator', 'b', 'pulse', 'm', 'small', 'reserved', 900, 0, 0, 0, '2026-11-20 05:59-05'),
('coordinator', 'c', 'pulse', 'm', 'small', 'spent', 900, 5000, 0, 0, '2026-11-19 05:00-05'),
('coordinator', 'd', 'pulse', 'm', 'small', 'spent', 900, 5000, 0, 0, '2026-11-20 06:00-05');

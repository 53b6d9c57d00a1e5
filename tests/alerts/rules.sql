-- A small warehouse by hand: what the rules of tests/alerts/test_rules.py look at beside the empty relations of
-- tests/evidence/metrics.sql, with figures anybody can check.
-- The morning is Friday 20 November 2026, 06:00 in New York; every sync started at 05:40.

create table marts.fct_stock (
    sku text, is_active boolean, days_of_supply numeric, severity text, reason text, sales numeric
);
create table marts.fct_late (order_name text, bucket text, value numeric);
create table marts.fct_gaps (date date, gap numeric, status text);

insert into metrics.dim_metric
(metric_id, label, unit, direction, aggregation, owner, division, sources, required_sources, in_pulse, kind)
values
('roas', 'ROAS', 'ratio', 'up_is_good', 'ratio', 'marketing', 'marketing', '{airtable.spend}', '{airtable.spend}', false, 'flow'),
('spend', 'Spend', 'money', 'neutral', 'sum', 'marketing', 'marketing', '{airtable.spend}', '{airtable.spend}', false, 'flow'),
('hours', 'Hours', 'hours', 'down_is_good', 'average', 'logistics', 'supply_chain', '{shopify.orders}', '{shopify.orders}', false, 'flow'),
('overdue', 'Overdue', 'count', 'down_is_good', 'last', 'logistics', 'supply_chain', '{shopify.orders,netsuite.items}', '{shopify.orders}', false, 'level');

-- Return on ad spend of two days: Google 300/100 and 100/100 (together 2), TikTok 100/100 and 50/100 (together 0.75).
insert into metrics.fct_metric_daily values
('roas', '2026-11-18', 'channel', 'Google', 3, 300, 100, '2026-11-20 05:40-05', 'matched'),
('roas', '2026-11-19', 'channel', 'Google', 1, 100, 100, '2026-11-20 05:40-05', 'matched'),
('roas', '2026-11-18', 'channel', 'TikTok', 1, 100, 100, '2026-11-20 05:40-05', 'matched'),
('roas', '2026-11-19', 'channel', 'TikTok', 0.5, 50, 100, '2026-11-20 05:40-05', 'matched'),
('spend', '2026-11-18', 'channel', 'TikTok', 100, 100, null, '2026-11-20 05:40-05', 'matched'),
('spend', '2026-11-19', 'channel', 'TikTok', 100, 100, null, '2026-11-20 05:40-05', 'matched'),
('hours', '2026-11-19', 'all', 'all', 50, 500, 10, '2026-11-20 05:40-05', 'matched'),
('overdue', '2026-11-19', 'all', 'all', 9, 9, null, '2026-11-20 05:40-05', 'matched'),
('overdue', '2026-11-20', 'all', 'all', 4, 4, null, '2026-11-20 05:40-05', 'matched');

insert into marts.fct_stock values
('A-1', true, 3, 'critical', 'days_of_supply', 900),
('B-2', true, 10, 'warning', 'days_of_supply', 300),
-- Few days of supply, but an order covers it: no breach.
('C-3', true, 5, 'none', 'covered_by_purchase_order', 100),
('D-4', true, 50, 'none', 'healthy', 50),
('E-5', true, null, 'none', 'no_sales', 0),
('X-9', false, 0, 'critical', 'inactive', 0);
insert into marts.fct_late values ('#1', 'watch', 10), ('#2', 'watch', 20.5), ('#3', 'watch', 30), ('#4', 'archived', 99);
insert into marts.fct_gaps values ('2026-11-17', -500, 'mismatched'), ('2026-11-18', 1, 'matched'), ('2026-11-19', 0, 'matched');

insert into ops.connections (vendor, connected, checked_at) values
('shopify', true, now()), ('netsuite', true, now()), ('airtable', true, now()), ('klaviyo', false, now());
insert into ops.cursors (vendor, stream, fresh_to, updated_at) values
('shopify', 'orders', '2026-11-20 05:40-05', now()), ('netsuite', 'items', '2026-11-20 05:40-05', now()),
('airtable', 'spend', '2026-11-20 05:40-05', now());

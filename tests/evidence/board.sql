-- A small company by month, beside the relations of metrics.sql. Figures anybody can add up: days are alike within a
-- year. The morning is Sunday 1 November 2026, 08:00 in New York; every sync started at 07:40.

insert into metrics.dim_metric
(metric_id, label, description, unit, direction, aggregation, currency, target, minimum_effect, division, sources, in_pulse, kind)
values
('channel_net_sales', 'Net sales, all channels', 'Of all channels.', 'money', 'up_is_good', 'sum', 'USD', null, 10, 'sales', '{shopify.orders}', false, 'flow'),
('net_sales', 'Net sales', 'Of the shop.', 'money', 'up_is_good', 'sum', 'USD', null, 10, 'sales', '{shopify.orders}', true, 'flow'),
('sales_before_refunds', 'Sales before refunds', '', 'money', 'up_is_good', 'sum', 'USD', null, 10, 'sales', '{shopify.orders}', false, 'flow'),
('refunds', 'Refunds', '', 'money', 'down_is_good', 'sum', 'USD', null, 5, 'customer_support', '{shopify.orders}', true, 'flow'),
('revenue_plan_attainment', 'Plan attainment', '', 'ratio', 'up_is_good', 'last', null, 1, 0.02, 'sales', '{shopify.orders}', true, 'flow'),
('refund_rate', 'Refund rate', '', 'ratio', 'down_is_good', 'ratio', null, 0.04, 0.01, 'customer_support', '{shopify.orders}', false, 'flow'),
('roas', 'Return on ad spend', '', 'count', 'up_is_good', 'ratio', null, 3, 0.3, 'marketing', '{airtable.paid_media_spend}', false, 'flow'),
('ad_spend', 'Ad spend', '', 'money', 'neutral', 'sum', 'USD', null, 5, 'marketing', '{airtable.paid_media_spend}', false, 'flow'),
('email_revenue', 'E-mail revenue', '', 'money', 'up_is_good', 'sum', 'USD', null, 5, 'marketing', '{klaviyo.campaigns}', true, 'flow'),
('late_orders', 'Late orders', '', 'count', 'down_is_good', 'last', null, 0, 3, 'supply_chain', '{shopify.orders}', true, 'level'),
('skus_out_of_stock', 'SKUs out of stock', '', 'count', 'down_is_good', 'last', null, 0, 1, 'supply_chain', '{netsuite.inventory}', true, 'snapshot'),
('pipeline_value', 'Pipeline value', '', 'money', 'up_is_good', 'last', 'USD', null, 10, 'sales', '{hubspot.deals}', false, 'level'),
('gross_margin', 'Gross margin amount', '', 'money', 'up_is_good', 'sum', 'USD', null, 10, 'finance', '{netsuite.transactions}', false, 'flow'),
('opex', 'Operating expenses', '', 'money', 'down_is_good', 'sum', 'USD', null, 10, 'finance', '{netsuite.ledger_lines}', false, 'flow');

-- 100 of sales a day in 2025, 120 in 2026, 130 in October 2026; 10 a day is refunded; wholesale adds 50 a day.
create view days as
select day::date as date,
       case when day < '2026-01-01' then 100 when day < '2026-10-01' then 120 else 130 end as net,
       '2026-11-01 07:40-05'::timestamptz as fresh
from generate_series('2024-11-01'::date, '2026-10-31'::date, interval '1 day') as day;

insert into metrics.fct_metric_daily
select metric_id, date, 'all', 'all', value, null, null, fresh, 'matched'
from days cross join lateral (values
    ('net_sales', net), ('channel_net_sales', net + 50), ('sales_before_refunds', net + 10), ('refunds', 10),
    ('gross_margin', 60), ('opex', 40), ('ad_spend', 20), ('email_revenue', 15)
) as v (metric_id, value);
insert into metrics.fct_metric_daily
select 'channel_net_sales', date, 'channel', part, value, null, null, fresh, 'matched'
from days cross join lateral (values ('web', net), ('wholesale', 50)) as v (part, value);

-- The plan is 3,900 a month; the attainment's denominator is the plan to date.
insert into metrics.fct_metric_daily
select 'revenue_plan_attainment', date, 'all', 'all', null, null, 3900, fresh, 'matched' from days;

-- Refunds of October 2026 are all on one day of 100 of sales; on the others nothing was sold that could be refunded.
insert into metrics.fct_metric_daily
select 'refund_rate', date, 'all', 'all', case when date = '2026-10-07' then 0.3 end,
       case when date = '2026-10-07' then 30 else 0 end, case when date = '2026-10-07' then 100 else 0 end, fresh, 'matched'
from days where date >= '2026-10-01';
insert into metrics.fct_metric_daily select 'roas', date, 'all', 'all', 2.5, 50, 20, fresh, 'matched' from days;

insert into metrics.fct_metric_daily
select 'pipeline_value', date, dimension, part, value, null, null, fresh, 'matched'
from days cross join lateral (values ('all', 'all', 300), ('stage', 'quote', 200), ('stage', 'inquiry', 100))
    as v (dimension, part, value);

-- States: 4 late orders at the end of each day, 9 on the last; stock is seen on the morning of the pack only.
insert into metrics.fct_metric_daily
select 'late_orders', date, 'all', 'all', case when date = '2026-10-31' then 9 else 4 end, null, null, fresh, 'matched'
from days;
insert into metrics.fct_metric_daily values
('late_orders', '2026-11-01', 'all', 'all', 30, null, null, '2026-11-01 07:40-05', 'matched'),
('skus_out_of_stock', '2026-11-01', 'all', 'all', 4, null, null, '2026-11-01 07:40-05', 'matched');

-- Spend is entered by hand: the last day of October was not. E-mail stopped on the evening of the 20th of October, and
-- one day of refunds did not tie out.
delete from metrics.fct_metric_daily where metric_id = 'ad_spend' and date = '2026-10-31';
update metrics.fct_metric_daily set fresh_to = '2026-10-20 21:00-04' where metric_id = 'email_revenue' and date >= '2026-10-20';
update metrics.fct_metric_daily set tie_out = 'mismatched' where metric_id = 'refunds' and date = '2026-10-03';

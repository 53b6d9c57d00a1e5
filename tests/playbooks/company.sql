-- The relations that the tools read, with the columns they read of them.
create schema if not exists staging;
create schema if not exists intermediate;
create schema if not exists marts;
create schema if not exists metrics;

create table marts.fct_app_customers (
    user_id text primary key, role text, is_customer boolean, is_deleted boolean, signup_day date, signup_source text,
    shop_customer_id text, first_login_day date, last_login_day date, first_subscription_day date, first_paid_day date
);
create table marts.fct_subscriptions (
    subscription_id text primary key, user_id text, status text, started_day date, paid_from date, ended_day date, mrr numeric
);
create table intermediate.int_app_user_days (session_day date, user_id text);
create table staging.stg_app__users (user_id text, role text, created_at timestamptz);
create table staging.stg_app__sessions (session_id text, user_id text, started_at timestamptz);
create table staging.stg_app__tickets (
    ticket_id text, user_id text, created_at timestamptz, resolved_at timestamptz
);
create table staging.stg_shopify__discounts (
    codes text[], status text, starts_at timestamptz, ends_at timestamptz, title text
);
create table marts.fct_orders (
    order_id text, customer_id text, sales_day date, created_at timestamptz, processed_at timestamptz,
    net_amount_company numeric
);
create table marts.fct_order_lines (
    customer_id text, sku text, sales_day date, is_cancelled boolean, is_return boolean
);
create table marts.dim_products (sku text, product_name text, is_active boolean, price numeric);
create table marts.fct_inventory_position (sku text, available bigint);
create table metrics.dim_metric (
    metric_id text, label text, unit text, direction text, aggregation text, kind text, currency text, target numeric,
    minimum_effect numeric, division text, sources text[], in_pulse boolean
);
create table metrics.fct_metric_daily (
    metric_id text, date date, dimension text, dimension_value text, value numeric, numerator numeric,
    denominator numeric, fresh_to timestamptz, tie_out text
);

{{ config(
    unique_key=['date', 'code'],
    scope='date',
    changed_by={'fct_orders': 'sales_day', 'int_orders': 'sales_day'},
    indexes=[{'columns': ['date', 'code'], 'unique': true}],
) }}

-- Every order is in exactly one row of its sales day, so that the rows sum to the day: by its code, by all of its
-- codes together, or by having none. Codes are compared in upper case; the shop does not care either.
with coded as (
    select
        orders.sales_day as date,
        orders.order_id,
        orders.gross_amount_company,
        orders.discount_amount_company,
        orders.net_amount_company,
        coalesce(
            (
                select string_agg(distinct upper(trim(code)), ' + ' order by upper(trim(code)))
                from unnest(string_to_array(placed.discount_codes, E'\n')) as code
                where trim(code) <> ''
            ),
            case when orders.discount_amount_company > 0 then 'automatic' else 'none' end
        ) as code
    from {{ ref('fct_orders') }} as orders
    inner join {{ ref('int_orders') }} as placed on orders.order_id = placed.order_id
    where {{ in_scope('orders.sales_day') }}
)

select
    coded.date,
    coded.code,
    coded.code not in ('automatic', 'none') as is_code,
    {{ company_currency() }} as currency,
    count(*)::bigint as orders,
    case when coded.code in ('automatic', 'none') then 0 else count(*) end::bigint as code_orders,
    {{ complete_sum('coded.gross_amount_company') }} as gross_amount,
    {{ complete_sum('coded.discount_amount_company') }} as discount_amount,
    {{ complete_sum('coded.net_amount_company') }} as sales_amount
from coded
group by coded.date, coded.code

{{ config(
    unique_key='sku',
    indexes=[{'columns': ['sku'], 'unique': true}],
) }}

-- One row for each listing that shoppers cannot buy or find, or that has errors. Listings of products that are no
-- longer sold stay in, marked.
with problems as (
    select
        issues.sku,
        min(issues.asin) as asin,
        bool_or(issues.is_suppressing) as is_suppressed,
        bool_or('SEARCH_SUPPRESSED' = any(issues.enforcement_actions)) as is_hidden,
        count(*) filter (where issues.severity = 'ERROR') as errors,
        count(*) as issues,
        bool_and(issues.is_buyable) as is_buyable,
        max(issues.listing_updated_at) as listing_updated_at
    from {{ ref('fct_listing_issues_open') }} as issues
    group by issues.sku
)

select
    problems.sku,
    coalesce(products.product_name, problems.sku) as product_name,
    problems.asin,
    case
        when problems.is_suppressed then 'suppressed'
        when problems.is_hidden then 'not found by search'
        else 'errors'
    end as trouble,
    problems.is_suppressed,
    problems.is_buyable,
    problems.errors,
    problems.issues,
    {{ company_day('problems.listing_updated_at') }} as since_day,
    coalesce(products.is_active, false) as is_active
from problems
left join {{ ref('dim_products') }} as products on problems.sku = products.sku
where
    problems.is_suppressed
    or problems.is_hidden
    or problems.errors > 0

{{ config(
    unique_key='listing_issue_id',
    indexes=[{'columns': ['listing_issue_id'], 'unique': true}],
) }}

-- Issues as they stand. What Amazon writes of them is text from outside and stays below.
select
    issues.listing_issue_id,
    issues.sku,
    listings.marketplace_id,
    listings.asin,
    issues.issue_code,
    issues.severity,
    issues.categories,
    issues.enforcement_actions,
    'LISTING_SUPPRESSED' = any(issues.enforcement_actions) as is_suppressing,
    issues.exemption_status,
    listings.is_buyable,
    listings.updated_at as listing_updated_at
from {{ ref('stg_amazon__listing_issues') }} as issues
inner join {{ ref('stg_amazon__listings') }} as listings on issues.sku = listings.sku

{{ config(
    unique_key='marketplace_id',
    indexes=[{'columns': ['marketplace_id'], 'unique': true}],
) }}

-- Each marketplace's account as the last report has it, in words. Without a report of the last days its state is
-- unknown.
select distinct on (health.marketplace_id)
    health.marketplace_id,
    case health.marketplace_id
        when 'ATVPDKIKX0DER' then 'Amazon US'
        when 'A2EUQ1WTGCTBG2' then 'Amazon Canada'
        when 'A1AM78C64UM0Y8' then 'Amazon Mexico'
        when 'A1F83G8C2ARO7P' then 'Amazon UK'
        when 'A1PA6795UKMFR9' then 'Amazon Germany'
        else health.marketplace_id
    end as marketplace,
    health.date,
    health.reported_at,
    health.is_current,
    case
        when not health.is_current then 'unknown'
        else lower(replace(coalesce(health.account_status, 'unknown'), '_', ' '))
    end as account_status,
    lower(replace(health.rating_status, '_', ' ')) as rating_status,
    health.is_at_risk,
    -- Amazon's names of metrics are one word with capitals inside.
    case
        when cardinality(health.bad_metrics) > 0
            then lower(regexp_replace(array_to_string(health.bad_metrics, ', '), '([a-z])([A-Z])', '\1 \2', 'g'))
    end as failing,
    health.late_shipment_rate,
    health.valid_tracking_rate,
    health.cancellation_rate
from {{ ref('fct_marketplace_account_health') }} as health
order by health.marketplace_id asc, health.date desc

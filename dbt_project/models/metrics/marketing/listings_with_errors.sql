{{ config(changed_by={'int_marketing_snapshots': 'snapshot_day'}) }}

select
    snapshots.snapshot_day as date,
    snapshots.dimension,
    snapshots.dimension_value,
    snapshots.numerator as value,
    snapshots.numerator,
    snapshots.denominator
from {{ ref('int_marketing_snapshots') }} as snapshots
where snapshots.measure = 'listings_with_errors'

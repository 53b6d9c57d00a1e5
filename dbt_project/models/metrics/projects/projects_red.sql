{{ config(changed_by={'int_project_snapshots': 'snapshot_day'}) }}

select
    snapshots.snapshot_day as date,
    snapshots.dimension,
    snapshots.dimension_value,
    snapshots.numerator as value,
    snapshots.numerator,
    null::numeric as denominator
from {{ ref('int_project_snapshots') }} as snapshots
where snapshots.measure = 'projects_red'

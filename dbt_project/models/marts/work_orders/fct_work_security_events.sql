{{ config(
    unique_key=['assessment_id', 'rule'],
    indexes=[{'columns': ['assessment_id', 'rule'], 'unique': true}],
) }}

select
    violations.assessment_id,
    violations.rule,
    violations.category,
    violations.severity,
    violations.action,
    coalesce(work_orders.repository || '#' || work_orders.number, 'none') as work_order,
    assessments.assessed_at > {{ as_of() }} - interval '2 days' as is_recent,
    {{ company_day('assessments.assessed_at') }} as date
from {{ source('ops', 'work_violations') }} as violations
inner join {{ source('ops', 'work_assessments') }} as assessments on violations.assessment_id = assessments.id
left join {{ source('ops', 'work_orders') }} as work_orders on assessments.work_id = work_orders.id
where
    violations.severity in ('high', 'critical')
    or violations.action in ('hold', 'block')

{{ config(materialized='lasting_view') }}

-- A label that was renamed or deleted does not count as an update of the issues that have it: its present name is
-- taken from the labels themselves, and a label that is gone is on no issue.
select
    issues.issue_id || ':' || labels.label_id as issue_label_id,
    issues.issue_id,
    labels.label_id,
    labels.label_name
from {{ ref('stg_github__issues') }} as issues
cross join unnest(issues.label_ids) as held (label_id)
inner join {{ ref('stg_github__labels') }} as labels on held.label_id = labels.label_id

{{ config(materialized='lasting_view') }}

-- GitHub's own words for closing an issue of the same repository when the pull request is merged.
select distinct
    pulls.pull_request_id || ':' || said.words[1] as closing_reference_id,
    pulls.pull_request_id,
    pulls.repository,
    said.words[1]::int as issue_number
from {{ ref('stg_github__pull_requests') }} as pulls
cross join
    regexp_matches(pulls.body, '\m(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#([1-9]\d{0,8})\M', 'gi')
        as said (words)

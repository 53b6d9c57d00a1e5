-- NaN and infinity are valid numerics in PostgreSQL and would poison every sum they enter.
select
    metric_values.metric_id,
    metric_values.date
from {{ ref('fct_metric_daily') }} as metric_values
where
    metric_values.value in ('NaN', 'Infinity', '-Infinity')
    or metric_values.numerator in ('NaN', 'Infinity', '-Infinity')
    or metric_values.denominator in ('NaN', 'Infinity', '-Infinity')

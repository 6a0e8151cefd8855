with

overrides as (

    select * from {{ ref('fct_overrides') }}

)

select
    date_trunc('week', override_timestamp) as week,
    model_prediction,
    inspector_decision,
    count(*) as override_count,
    (
        count(*) * 100.0 / sum(count(*)) over (partition by date_trunc('week', override_timestamp))
    )::double precision
    as override_pct
from overrides
group by 1, 2, 3

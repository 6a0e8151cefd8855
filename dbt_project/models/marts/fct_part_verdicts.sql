-- The worst picture of a part counts, and of each picture the last person's decision before the machine's
-- verdict, as inspection/part_verdict.py has it. A gap between verdicts begins another visit.
{% set from_best_to_worst = "array['ACCEPT', 'REWORK', 'HUMAN_INSPECTION', 'SCRAP']" %}
with

predictions as (

    select
        *,
        predicted_at - lag(predicted_at) over (
            partition by part_serial, production_order_id
            order by predicted_at, inspection_id
        ) as gap
    from {{ source('inference', 'predictions') }}
    where role = 'production' and part_serial is not null

),

last_reviews as (

    select distinct on (inspection_id)
        inspection_id,
        decision
    from {{ ref('fct_reviews') }}
    order by inspection_id asc, reviewed_at desc, review_id desc

),

views as (

    select
        predictions.*,
        last_reviews.decision,
        case last_reviews.decision
            when 'PASS' then 'ACCEPT'
            when 'REWORK' then 'REWORK'
            when 'FAIL' then 'SCRAP'
            else predictions.recommended_action
        end as action,
        1 + count(*) filter (
            where predictions.gap > make_interval(secs => {{ var('part_window_seconds') }})
        ) over (
            partition by predictions.part_serial, predictions.production_order_id
            order by predictions.predicted_at, predictions.inspection_id
        ) as visit
    from predictions
    left join last_reviews on predictions.inspection_id = last_reviews.inspection_id

)

select
    part_serial,
    production_order_id,
    visit,
    ({{ from_best_to_worst }})[max(array_position({{ from_best_to_worst }}, action))] as action,
    count(*) as inspections,
    count(distinct camera_id) as cameras,
    count(decision) as decided_inspections,
    min(predicted_at) as first_predicted_at,
    max(predicted_at) as last_predicted_at
from views
group by part_serial, production_order_id, visit

-- Production role, by the hour of the verdict. Truth is a person's decision, the newest on a part; a
-- reviewed part stands for 1 / review_probability parts.
with

predictions as (

    select
        *,
        date_trunc('hour', predicted_at) as hour
    from {{ ref('fct_predictions') }}
    where role = 'production' and line_id is not null

),

truth as (

    select distinct on (inspection_id)
        inspection_id,
        decision <> 'PASS' as defective
    from {{ ref('fct_reviews') }}
    order by inspection_id asc, reviewed_at desc

),

overrides as (

    select distinct inspection_id from {{ ref('fct_overrides') }}

),

judged as (

    select
        predictions.*,
        truth.defective,
        overrides.inspection_id is not null as overridden,
        1 / nullif(predictions.review_probability, 0) as weight
    from predictions
    left join truth on predictions.inspection_id = truth.inspection_id
    left join overrides on predictions.inspection_id = overrides.inspection_id

)

select
    line_id,
    hour,
    {{ weighted_rate('false_reject_rate', "auto_action in ('REWORK', 'SCRAP')", 'not defective') }},
    {{ weighted_rate('false_accept_rate', 'defective', "defective is not null and auto_action = 'ACCEPT'") }},
    {{ weighted_rate('miss_rate', "auto_action = 'ACCEPT'", 'defective') }},
    count(*) as parts,
    (count(*) / 60.0)::double precision as throughput_per_min,
    percentile_cont(0.99) within group (order by inference_time_ms) as latency_p99_ms,
    avg(overridden::integer) filter (where defective is not null)::double precision as human_override_rate,
    avg(overall_confidence) as mean_confidence
from judged
group by line_id, hour

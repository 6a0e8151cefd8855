with

predictions as (

    select * from {{ source('inference', 'predictions') }}

),

cameras as (

    select * from {{ ref('stg_cameras') }}

),

-- A camera that the calibration files do not know stands where its images' orders say.
camera_lines as (

    select distinct on (camera_id)
        camera_id,
        line_id
    from {{ ref('int_images') }}
    where line_id is not null
    order by camera_id, capture_timestamp desc

)

select
    predictions.inspection_id,
    predictions.image_id,
    predictions.part_serial,
    predictions.camera_id,
    coalesce(cameras.line_id, camera_lines.line_id) as line_id,
    predictions.model_version,
    predictions.role,
    predictions.prediction,
    predictions.defects,
    predictions.overall_confidence,
    predictions.inference_time_ms,
    predictions.recommended_action,
    predictions.auto_action,
    predictions.route_reason,
    predictions.review_probability,
    predictions.routed_to,
    predictions.captured_at,
    predictions.predicted_at
from predictions
left join cameras on predictions.camera_id = cameras.camera_id
left join camera_lines on predictions.camera_id = camera_lines.camera_id

with

predictions as (

    select * from {{ source('inference', 'predictions') }}

),

cameras as (

    select * from {{ ref('stg_cameras') }}

),

-- A camera that the calibration files do not know stands where its images' orders say.
camera_lines as (

    select distinct on (images.camera_id)
        images.camera_id,
        orders.line_id
    from {{ ref('stg_images') }} as images
    inner join {{ ref('stg_production_orders') }} as orders
        on images.production_order_id = orders.production_order_id
    order by images.camera_id asc, images.capture_timestamp desc

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

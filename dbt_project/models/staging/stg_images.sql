select
    image_id,
    production_order_id,
    machine_id,
    camera_id,
    part_serial,
    part_type,
    image_path,
    exposure_settings::jsonb as exposure_settings,
    capture_timestamp,
    updated_at
from {{ source('quality_vision', 'image_metadata') }}

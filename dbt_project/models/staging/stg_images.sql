select
    image_id::text as image_id,
    production_order_id::text as production_order_id,
    machine_id::text as machine_id,
    camera_id::text as camera_id,
    part_serial::text as part_serial,
    part_type::text as part_type,
    image_path::text as image_path,
    exposure_settings::jsonb as exposure_settings,
    capture_timestamp,
    updated_at,
    read_at
from {{ source('quality_vision', 'image_metadata') }}

-- The newest configuration of each camera.
select distinct on (camera_id)
    camera_id::text as camera_id,
    line_id::text as line_id,
    plant_id::text as plant_id,
    width::integer as frame_width,
    height::integer as frame_height,
    effective_from::timestamptz as effective_from
from {{ source('calibration', 'camera_config') }}
order by camera_id asc, effective_from desc

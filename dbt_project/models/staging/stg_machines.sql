select
    machine_id::text as machine_id,
    plant_id::text as plant_id,
    line_id::text as line_id,
    kind::text as kind,
    updated_at
from {{ source('erp', 'equipment_registry') }}

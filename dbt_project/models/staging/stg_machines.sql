select
    machine_id,
    plant_id,
    line_id,
    kind,
    updated_at
from {{ source('erp', 'equipment_registry') }}

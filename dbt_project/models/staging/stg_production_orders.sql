select
    production_order_id::text as production_order_id,
    part_type::text as part_type,
    plant_id::text as plant_id,
    line_id::text as line_id,
    quantity,
    started_at,
    completed_at,
    updated_at,
    read_at
from {{ source('erp', 'production_orders') }}

select
    production_order_id,
    part_type,
    plant_id,
    line_id,
    quantity,
    started_at,
    completed_at,
    updated_at
from {{ source('erp', 'production_orders') }}

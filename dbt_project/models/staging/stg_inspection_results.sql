select
    result_id::text as result_id,
    image_id::text as image_id,
    inspector_id::text as inspector_id,
    upper(decision) as decision,
    array(select jsonb_array_elements_text(coalesce(defect_codes::jsonb, '[]'))) as defect_codes,
    decided_at,
    updated_at,
    read_at
from {{ source('qms', 'inspection_results') }}

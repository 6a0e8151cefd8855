select
    review_id,
    inspection_id,
    image_id,
    inspector_id,
    decision,
    defect_class,
    reviewed_at
from {{ source('inference', 'reviews') }}

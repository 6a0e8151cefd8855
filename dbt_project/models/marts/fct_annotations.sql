select
    annotation_id,
    image_id,
    annotator_id,
    plant_id,
    raw_label,
    defect_class,
    confidence,
    bbox_x,
    bbox_y,
    bbox_width,
    bbox_height
from {{ ref('int_annotations') }}
where set_aside_for is null

select
    image_id,
    label,
    labels,
    label_source,
    annotator_count,
    agreement
from {{ ref('int_labelled_images') }}
where unlabelled_because is null

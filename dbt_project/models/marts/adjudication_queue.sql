select
    image_id,
    unlabelled_because as reason,
    annotator_count,
    agreement
from {{ ref('int_labelled_images') }}
where unlabelled_because is not null

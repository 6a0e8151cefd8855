{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}",
    indexes=[{'columns': ['image_id']}]
) }}

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
where set_aside_for is null and {{ changed_only('image_id') }}

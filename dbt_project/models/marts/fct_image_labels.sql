{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}"
) }}

select
    image_id,
    label,
    labels,
    label_source,
    annotator_count,
    agreement
from {{ ref('int_labelled_images') }}
where unlabelled_because is null and {{ changed_only('image_id') }}

-- Pairs of confident annotators of one image: did they give it the same primary label?
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}"
) }}

with

labels as (

    select *
    from {{ ref('int_annotator_labels') }}
    where annotator_count > 1 and {{ changed_only('image_id') }}

)

select
    one.image_id,
    one.annotator_id as annotator_1,
    other.annotator_id as annotator_2,
    one.plant_id,
    one.label as label_1,
    other.label as label_2,
    one.label = other.label as agreed
from labels as one
inner join labels as other
    on
        one.image_id = other.image_id
        and one.annotator_id < other.annotator_id

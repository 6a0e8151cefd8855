-- The one label that a confident annotator gives an image: the safety-critical class first, as in a
-- consensus.
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}"
) }}

with

votes as (

    select * from {{ ref('int_annotator_votes') }} where {{ changed_only('image_id') }}

),

images as (

    select *
    from {{ ref('int_images') }}
    where set_aside_for is null and {{ changed_only('image_id') }}

),

clean as (

    select defect_class from {{ ref('stg_ontology_classes') }} where clean

),

primary_marks as (

    select
        image_id,
        annotator_id,
        (array_agg(defect_class order by safety_critical desc, class_position asc) filter (where marked))[1]
        as defect_class
    from votes
    group by image_id, annotator_id

)

select
    primary_marks.image_id,
    primary_marks.annotator_id,
    images.plant_id,
    coalesce(primary_marks.defect_class, clean.defect_class) as label,
    count(*) over (partition by primary_marks.image_id) as annotator_count
from primary_marks
inner join images on primary_marks.image_id = images.image_id
cross join clean

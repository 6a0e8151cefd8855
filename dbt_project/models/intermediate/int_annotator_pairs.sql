-- Pairs of confident annotators of one image, by class: did they mark it alike?
with

votes as (

    select * from {{ ref('int_annotator_votes') }}

),

primary_marks as (

    select
        image_id,
        annotator_id,
        coalesce(
            (array_agg(defect_class order by safety_critical desc, class_position) filter (where marked))[1],
            (select defect_class from {{ ref('stg_ontology_classes') }} where clean)
        ) as label
    from votes
    group by image_id, annotator_id

)

select
    one.image_id,
    one.annotator_id as annotator_1,
    other.annotator_id as annotator_2,
    images.plant_id,
    one.label as label_1,
    other.label as label_2,
    one.label = other.label as agreed
from primary_marks as one
inner join primary_marks as other
    on one.image_id = other.image_id
    and one.annotator_id < other.annotator_id
inner join {{ ref('int_images') }} as images
    on one.image_id = images.image_id
    and images.set_aside_for is null

-- Pairs of confident annotators of one image: did they give it the same primary label?
with

labels as (

    select * from {{ ref('int_annotator_labels') }} where annotator_count > 1

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

with

images as (

    select * from {{ ref('int_images') }} where set_aside_for is null

),

labels as (

    select * from {{ ref('fct_image_labels') }}

)

select
    images.camera_id,
    min(images.line_id) as line_id,
    count(*) as images,
    count(*)::double precision / sum(count(*)) over () as image_share,
    count(labels.image_id) as labelled_images,
    count(labels.image_id)::double precision / nullif(sum(count(labels.image_id)) over (), 0)
    as labelled_share
from images
left join labels on images.image_id = labels.image_id
group by images.camera_id

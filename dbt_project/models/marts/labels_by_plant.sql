with

labelled as (

    select
        images.plant_id,
        labels.label
    from {{ ref('fct_image_labels') }} as labels
    inner join {{ ref('int_images') }} as images on labels.image_id = images.image_id
    where images.plant_id is not null

),

plants as (

    select
        plant_id,
        count(*) as plant_images
    from labelled
    group by plant_id

),

classes as (

    select * from {{ ref('dim_defect_class') }}

),

counted as (

    select
        plants.plant_id,
        classes.defect_class,
        plants.plant_images,
        count(labelled.label) as images
    from plants
    cross join classes
    left join labelled on plants.plant_id = labelled.plant_id and classes.defect_class = labelled.label
    group by plants.plant_id, classes.defect_class, plants.plant_images

)

select
    plant_id,
    defect_class,
    images,
    {{ counted_rate('share', 'images', 'plant_images', 'plant_images') }}
from counted

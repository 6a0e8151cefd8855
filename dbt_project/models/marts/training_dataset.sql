-- The newest release as it was frozen. The clean class is thinned by hash to its cap; the weight of a
-- row is 1 / the probability that thinning kept it. In training, images of a defect class that is rarer than
-- the floor come again: each equally often, and by hash some of them once more.
with

release as (

    select release_id
    from {{ source('releases', 'split_releases') }}
    order by created_at desc, release_id desc
    limit 1

),

assignments as (

    select assignments.*
    from {{ source('releases', 'split_assignments') }} as assignments
    inner join release on assignments.release_id = release.release_id
    where assignments.split <> 'dropped'

),

labelled as (

    select
        assignments.image_id,
        assignments.release_id,
        images.image_path,
        images.part_type,
        images.camera_id,
        images.line_id,
        assignments.production_order_id,
        assignments.split,
        labels.label,
        labels.labels,
        assignments.fold_id,
        images.capture_timestamp,
        row_number() over (partition by classes.clean order by md5(assignments.image_id)) as place,
        count(*) over (partition by classes.clean) as candidates,
        classes.clean
    from assignments
    inner join {{ ref('fct_image_labels') }} as labels on assignments.image_id = labels.image_id
    inner join {{ ref('int_images') }} as images on assignments.image_id = images.image_id
    inner join {{ ref('dim_defect_class') }} as classes on labels.label = classes.defect_class

),

thinned as (

    select
        *,
        row_number() over (partition by label, split order by md5(image_id)) as place_in_class,
        count(*) over (partition by label, split) as class_images
    from labelled
    where not clean or place <= {{ var('clean_cap') }}

)

select
    image_id,
    release_id,
    image_path,
    part_type,
    camera_id,
    line_id,
    production_order_id,
    split,
    label,
    labels,
    fold_id,
    case
        when clean then greatest(candidates::double precision / {{ var('clean_cap') }}, 1)
        else 1
    end as sample_weight,
    case
        when split = 'train' and not clean and class_images < {{ var('minimum_per_class') }}
            then (
                {{ var('minimum_per_class') }} / class_images
                + (place_in_class <= {{ var('minimum_per_class') }} % class_images)::integer
            )::integer
        else 1
    end as repeats,
    capture_timestamp
from thinned

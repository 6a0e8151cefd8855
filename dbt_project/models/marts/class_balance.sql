-- What the split and the balancing made of each class, in images by their primary label.
with

newest as (

    select release_id
    from {{ source('releases', 'split_releases') }}
    order by created_at desc, release_id desc
    limit 1

),

assignments as (

    select assignments.*
    from {{ source('releases', 'split_assignments') }} as assignments
    inner join newest on assignments.release_id = newest.release_id

),

labels as (

    select * from {{ ref('fct_image_labels') }}

),

dataset as (

    select * from {{ ref('training_dataset') }}

),

classes as (

    select * from {{ ref('dim_defect_class') }}

),

dealt as (

    select
        labels.label,
        assignments.split = 'dropped' as dropped,
        dataset.image_id is null and assignments.split <> 'dropped' as thinned,
        dataset.split,
        dataset.repeats
    from assignments
    inner join labels on assignments.image_id = labels.image_id
    left join dataset on assignments.image_id = dataset.image_id

)

select
    case
        when grouping(classes.defect_class) = 1 then 'overall'
        else 'class:' || classes.defect_class
    end as scope,
    count(dealt.label) as raw,
    count(*) filter (where dealt.dropped) as dropped,
    count(*) filter (where dealt.thinned) as thinned,
    coalesce(sum(dealt.repeats), 0) as balanced,
    coalesce(sum(dealt.repeats) filter (where dealt.split = 'train'), 0) as train,
    count(*) filter (where dealt.split = 'train') as train_images,
    count(*) filter (where dealt.split = 'validation') as validation,
    count(*) filter (where dealt.split = 'test') as test
from classes
left join dealt on classes.defect_class = dealt.label
group by grouping sets ((classes.defect_class), ())

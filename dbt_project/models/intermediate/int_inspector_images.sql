-- How often each inspector rejected each image, how often the others did, and what its annotators say.
-- Counts, not pairs of rows: an image may be decided on very often.
with

decisions as (

    select
        results.image_id,
        results.inspector_id,
        images.plant_id,
        count(*) as decisions,
        count(*) filter (where results.decision <> 'PASS') as rejections
    from {{ ref('int_inspection_results') }} as results
    inner join {{ ref('int_images') }} as images
        on results.image_id = images.image_id
        and images.set_aside_for is null
    where results.set_aside_for is null
    group by results.image_id, results.inspector_id, images.plant_id

),

consensus as (

    select
        image_id,
        cardinality(labels) > 0 as defective
    from {{ ref('fct_image_labels') }}
    where label_source = 'consensus'

)

select
    decisions.image_id,
    decisions.inspector_id,
    decisions.plant_id,
    decisions.decisions,
    decisions.rejections,
    sum(decisions.decisions) over of_image - decisions.decisions as decisions_of_others,
    sum(decisions.rejections) over of_image - decisions.rejections as rejections_of_others,
    consensus.defective
from decisions
left join consensus on decisions.image_id = consensus.image_id
window of_image as (partition by decisions.image_id)

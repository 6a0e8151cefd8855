-- How often each inspector rejected each image, and how often the others did.
-- Counts, not pairs of rows: an image may be decided on very often.
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}",
    indexes=[{'columns': ['image_id']}]
) }}

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
        on
            results.image_id = images.image_id
            and images.set_aside_for is null
    where results.set_aside_for is null and {{ changed_only('results.image_id') }}
    group by results.image_id, results.inspector_id, images.plant_id

)

select
    image_id,
    inspector_id,
    plant_id,
    decisions,
    rejections,
    sum(decisions) over of_image - decisions as decisions_of_others,
    sum(rejections) over of_image - rejections as rejections_of_others
from decisions
window of_image as (partition by image_id)

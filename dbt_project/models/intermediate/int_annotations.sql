-- Annotations with the class that they mean, and why one is set aside (null: it is not).
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}",
    indexes=[{'columns': ['image_id']}]
) }}

with

annotations as (

    select * from {{ ref('stg_annotations') }} where {{ changed_only('image_id') }}

),

images as (

    select * from {{ ref('int_images') }} where {{ changed_only('image_id') }}

),

aliases as (

    select * from {{ ref('stg_ontology_aliases') }}

),

classes as (

    select * from {{ ref('stg_ontology_classes') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by image_id, annotator_id, alias, bbox_x, bbox_y, bbox_width, bbox_height
            order by updated_at, annotation_id
        ) as place_of_content
    from annotations

)

select
    ranked.annotation_id,
    ranked.image_id,
    ranked.annotator_id,
    images.plant_id,
    ranked.raw_label,
    aliases.defect_class,
    ranked.confidence,
    ranked.bbox_x,
    ranked.bbox_y,
    ranked.bbox_width,
    ranked.bbox_height,
    case
        when images.image_id is null then 'orphan_image'
        when ranked.updated_at > coalesce(ranked.read_at, current_timestamp) then 'future_timestamp'
        when aliases.defect_class is null then 'unknown_label'
        when ranked.confidence is null or ranked.confidence not between 1 and 5 then 'broken_confidence'
        when
            ranked.has_box and not coalesce(
                ranked.bbox_x >= 0
                and ranked.bbox_y >= 0
                and ranked.bbox_width > 0
                and ranked.bbox_height > 0,
                false
            )
            then 'broken_box'
        -- It begins outside the frame of its camera.
        when ranked.bbox_x >= images.frame_width or ranked.bbox_y >= images.frame_height then 'broken_box'
        when ranked.place_of_content > 1 then 'duplicate'
    end as set_aside_for,
    classes.clean,
    ranked.updated_at
from ranked
left join images on ranked.image_id = images.image_id
left join aliases on ranked.alias = aliases.alias
left join classes on aliases.defect_class = classes.defect_class

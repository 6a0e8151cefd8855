-- Boxes of the labels that the consensus kept; confident annotators only.
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}",
    indexes=[{'columns': ['image_id']}]
) }}

with

annotations as (

    select *
    from {{ ref('fct_annotations') }}
    where
        bbox_x is not null
        and confidence >= {{ var('minimum_confidence') }}
        and {{ changed_only('image_id') }}

),

labels as (

    select * from {{ ref('fct_image_labels') }} where {{ changed_only('image_id') }}

)

select
    annotations.annotation_id,
    annotations.image_id,
    annotations.defect_class,
    annotations.bbox_x,
    annotations.bbox_y,
    annotations.bbox_width,
    annotations.bbox_height
from annotations
inner join labels
    on
        annotations.image_id = labels.image_id
        and annotations.defect_class = any(labels.labels)

-- One row per image, annotator and defect class: did this annotator mark it? Only confident ones vote.
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}"
) }}

with

annotations as (

    select *
    from {{ ref('int_annotations') }}
    where
        set_aside_for is null
        and confidence >= {{ var('minimum_confidence') }}
        and {{ changed_only('image_id') }}

),

defects as (

    select * from {{ ref('stg_ontology_classes') }} where not clean

),

annotators as (

    select
        image_id,
        annotator_id,
        max(confidence) as weight
    from annotations
    group by image_id, annotator_id

),

marks as (

    select distinct
        image_id,
        annotator_id,
        defect_class
    from annotations
    where not clean

)

select
    annotators.image_id,
    annotators.annotator_id,
    annotators.weight,
    defects.defect_class,
    defects.safety_critical,
    defects.class_position,
    marks.defect_class is not null as marked
from annotators
cross join defects
left join marks
    on
        annotators.image_id = marks.image_id
        and annotators.annotator_id = marks.annotator_id
        and defects.defect_class = marks.defect_class

-- Every usable image with its label, or with the reason why it has none.
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}"
) }}

with

images as (

    select *
    from {{ ref('int_images') }}
    where set_aside_for is null and {{ changed_only('image_id') }}

),

consensus as (

    select
        image_id,
        max(annotator_count) as annotator_count,
        bool_or(verdict = 'adjudicate') as disputed,
        min(greatest(share, 1 - share)) as agreement,
        coalesce(
            array_agg(defect_class order by safety_critical desc, share desc, class_position asc)
            filter (where verdict = 'present'),
            array[]::text []
        ) as labels
    from {{ ref('int_consensus') }}
    where {{ changed_only('image_id') }}
    group by image_id

),

annotated as (

    select distinct image_id from {{ ref('stg_annotations') }} where {{ changed_only('image_id') }}

),

inspectors as (

    select * from {{ ref('int_inspector_labels') }} where {{ changed_only('image_id') }}

),

clean as (

    select defect_class from {{ ref('stg_ontology_classes') }} where clean

)

select
    images.image_id,
    coalesce(consensus.labels[1], inspectors.labels[1], clean.defect_class) as label,
    coalesce(consensus.labels, inspectors.labels) as labels,
    case
        when consensus.image_id is not null then 'consensus'
        when cardinality(inspectors.labels) = 0 then 'inspector'
        when inspectors.labels is not null then 'code'
    end as label_source,
    coalesce(consensus.annotator_count, 0)::integer as annotator_count,
    case when consensus.annotator_count > 1 then consensus.agreement::double precision end as agreement,
    case
        when consensus.disputed then 'adjudication'
        when consensus.image_id is null and annotated.image_id is not null then 'no_usable_annotation'
        when consensus.image_id is null and inspectors.labels is null then 'needs_annotation'
    end as unlabelled_because
from images
cross join clean
left join consensus on images.image_id = consensus.image_id
left join annotated on images.image_id = annotated.image_id
left join inspectors on images.image_id = inspectors.image_id

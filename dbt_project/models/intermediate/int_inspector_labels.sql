-- What the inspectors say of an image that has no annotation row at all.
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}"
) }}

with

results as (

    select *
    from {{ ref('int_inspection_results') }}
    where
        image_id is not null
        and set_aside_for is distinct from 'duplicate'
        and {{ changed_only('image_id') }}

),

annotated as (

    select distinct image_id from {{ ref('stg_annotations') }} where {{ changed_only('image_id') }}

),

judged as (

    select
        results.image_id,
        results.inspector_id,
        case
            -- Set aside, it says nothing, and then neither do the inspectors together.
            when results.set_aside_for is not null then null
            when results.decision = 'PASS' then array[]::text []
            else results.defect_classes
        end as labels
    from results
    left join annotated on results.image_id = annotated.image_id
    where annotated.image_id is null

)

select
    image_id,
    count(distinct inspector_id) as inspector_count,
    -- Null unless every inspector says the same and every code is known.
    case when count(labels) = count(*) and count(distinct labels) = 1 then min(labels) end as labels
from judged
group by image_id

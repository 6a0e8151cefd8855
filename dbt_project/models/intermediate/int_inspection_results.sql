-- Inspectors' decisions with the classes that their codes mean, and why one is set aside (null: it is not).
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed('result_id') }}",
    post_hook=["{{ index_set_aside() }}", "{{ note_changes_taken_in() }}"],
    indexes=[{'columns': ['image_id']}]
) }}

with

results as (

    select
        *,
        row_number() over (
            partition by image_id, inspector_id, decision, defect_codes, decided_at
            order by updated_at, result_id
        ) as place_of_content
    from {{ ref('stg_inspection_results') }}
    where {{ changed_only('result_id', 'result_id') }}

),

images as (

    select image_id from {{ ref('stg_images') }}

),

aliases as (

    select * from {{ ref('stg_ontology_aliases') }}

),

classes as (

    select * from {{ ref('stg_ontology_classes') }}

),

codes as (

    select
        results.result_id,
        count(*) filter (where classes.defect_class is null) as unmapped,
        array_agg(distinct classes.defect_class) filter (where not classes.clean) as defect_classes
    from results
    cross join lateral unnest(results.defect_codes) as code (name)
    left join aliases on {{ normalise_label('code.name') }} = aliases.alias
    left join classes on aliases.defect_class = classes.defect_class
    group by results.result_id

)

select
    results.result_id,
    results.image_id,
    results.inspector_id,
    results.decision,
    codes.defect_classes,
    case
        when results.image_id is not null and images.image_id is null then 'orphan_image'
        when results.decided_at > coalesce(results.read_at, current_timestamp) then 'future_timestamp'
        when results.decision not in ('PASS', 'FAIL', 'REWORK') then 'unknown_decision'
        when codes.unmapped > 0 then 'unknown_label'
        -- Without an image nothing tells one part from the next: such decisions may well be alike.
        when results.image_id is not null and results.place_of_content > 1 then 'duplicate'
    end as set_aside_for,
    results.decided_at,
    results.updated_at
from results
left join images on results.image_id = images.image_id
left join codes on results.result_id = codes.result_id

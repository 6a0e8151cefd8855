-- What the annotators of an image say of each class: the confidence-weighted share that marked it.
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook="{{ note_changes_taken_in() }}"
) }}

with

votes as (

    select * from {{ ref('int_annotator_votes') }} where {{ changed_only('image_id') }}

)

select
    image_id,
    defect_class,
    safety_critical,
    class_position,
    count(*) as annotator_count,
    sum(weight) filter (where marked) as weight_for,
    coalesce(sum(weight) filter (where marked), 0)::numeric / sum(weight) as share,
    case
        when coalesce(sum(weight) filter (where marked), 0) * 2 > sum(weight) then 'present'
        when coalesce(sum(weight) filter (where marked), 0) = 0 then 'absent'
        when coalesce(sum(weight) filter (where marked), 0) * 2 = sum(weight) then 'adjudicate'
        when safety_critical then 'adjudicate'
        else 'absent'
    end as verdict
from votes
group by image_id, defect_class, safety_critical, class_position

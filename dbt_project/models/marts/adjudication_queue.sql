-- The order in which people settle labels: safety-critical disputes, then other disputes, then what has no
-- usable annotation, then what nobody has annotated; in each the lowest agreement first.
with

unlabelled as (

    select * from {{ ref('int_labelled_images') }} where unlabelled_because is not null

),

disputes as (

    select
        image_id,
        array_agg(defect_class order by safety_critical desc, class_position asc) as disputed_classes,
        bool_or(safety_critical) as safety_critical
    from {{ ref('int_consensus') }}
    where verdict = 'adjudicate'
    group by image_id

)

select
    unlabelled.image_id,
    unlabelled.unlabelled_because as reason,
    coalesce(disputes.disputed_classes, array[]::text []) as disputed_classes,
    row_number() over (
        order by
            coalesce(disputes.safety_critical, false) desc,
            array_position(
                array['adjudication', 'no_usable_annotation', 'needs_annotation'],
                unlabelled.unlabelled_because
            ),
            unlabelled.agreement,
            unlabelled.image_id asc
    ) as priority,
    unlabelled.annotator_count,
    unlabelled.agreement,
    coalesce(disputes.safety_critical, false) as safety_critical
from unlabelled
left join disputes on unlabelled.image_id = disputes.image_id

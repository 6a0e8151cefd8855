with

published as (

    select * from {{ source('ontology', 'published') }}

),

in_force as (

    select * from published order by publication_id desc limit 1

)

select
    (class.value ->> 'id')::text as defect_class,
    (class.value ->> 'label')::text as label,
    nullif(class.value ->> 'parent', '') as parent,
    in_force.version as ontology_version,
    in_force.ontology,
    class.position::integer as class_position,
    array(
        select jsonb_array_elements_text(coalesce(class.value -> 'severity_levels', '[]'))
    ) as severity_levels,
    array(select jsonb_array_elements_text(coalesce(class.value -> 'aliases', '[]'))) as aliases,
    coalesce((class.value ->> 'clean')::boolean, false) as clean,
    coalesce((class.value ->> 'safety_critical')::boolean, false) as safety_critical
from in_force
cross join
    lateral jsonb_array_elements(in_force.document -> 'classes') with ordinality as class (value, position)

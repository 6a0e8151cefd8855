-- One row per way to write a class, in the form in which labels are compared.
with

classes as (

    select * from {{ ref('stg_ontology_classes') }}

)

select distinct
    {{ normalise_label('alias.name') }} as alias,
    classes.defect_class
from classes
cross join lateral unnest(classes.aliases || classes.defect_class) as alias (name)

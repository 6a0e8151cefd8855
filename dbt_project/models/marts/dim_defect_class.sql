select
    defect_class,
    label,
    parent,
    ontology_version,
    severity_levels,
    class_position,
    clean,
    safety_critical
from {{ ref('stg_ontology_classes') }}

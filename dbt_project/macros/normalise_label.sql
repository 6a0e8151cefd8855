{# The form in which typed labels are compared; inspection.ontology.normalise_label does the same. #}
{% macro normalise_label(label) -%}
    lower(regexp_replace({{ label }}, '[\s_-]', '', 'g'))
{%- endmacro %}

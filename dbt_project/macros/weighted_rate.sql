{# A weighted share with its two-sided 95 % Wilson bounds on the effective sample size
   (sum w)^2 / sum w^2 (Kish 1965); null where nothing was reviewed. #}
{% macro weighted_rate(name, hit, among) %}
    {%- set weight = "sum(weight) filter (where " ~ among ~ ")" -%}
    {%- set n = "(" ~ weight ~ ") ^ 2 / nullif(sum(weight ^ 2) filter (where " ~ among ~ "), 0)" -%}
    {%- set p = "coalesce(sum(weight) filter (where " ~ among ~ " and " ~ hit ~ "), 0) / nullif(" ~ weight ~ ", 0)" -%}
    {{ p }} as {{ name }},
    {{ wilson_bound(p, n, '-') }} as {{ name }}_low,
    {{ wilson_bound(p, n, '+') }} as {{ name }}_high,
    count(*) filter (where {{ among }}) as {{ name }}_reviewed
{%- endmacro %}

{% macro wilson_bound(p, n, sign) -%}
    (({{ p }}) + 3.8415 / (2 * ({{ n }})) {{ sign }} 1.96 * sqrt(
        greatest(({{ p }}) * (1 - ({{ p }})), 0) / ({{ n }}) + 3.8415 / (4 * ({{ n }}) ^ 2)
    )) / (1 + 3.8415 / ({{ n }}))
{%- endmacro %}

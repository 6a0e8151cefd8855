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

{# z is the normal distribution's 97.5 % point. Rounding may carry a bound beyond 0, 1 or the share
   itself by a hair; greatest and least skip nulls, hence the case. #}
{% macro wilson_bound(p, n, sign) -%}
    {%- set z = 1.959963984540054 -%}
    {%- set near, far = ('least', 0) if sign == '-' else ('greatest', 1) -%}
    {%- set inward = 'greatest' if sign == '-' else 'least' -%}
    case when ({{ p }}) is not null then {{ near }}({{ p }}, {{ inward }}({{ far }}, (
        ({{ p }}) + {{ z * z }} / (2 * ({{ n }})) {{ sign }} {{ z }} * sqrt(
            greatest(({{ p }}) * (1 - ({{ p }})), 0) / ({{ n }}) + {{ z * z }} / (4 * ({{ n }}) ^ 2)
        )
    ) / (1 + {{ z * z }} / ({{ n }})))) end
{%- endmacro %}

{# A share of counted cases with its two-sided 95 % Wilson bounds (Wilson 1927) and the count behind it;
   null where nothing was counted. *hits* and *total* are expressions over an aggregated row. The bounds
   take the cases as independent. #}
{% macro counted_rate(rate, hits, total, count, bounds=none) %}
    {%- set n = "nullif(" ~ total ~ ", 0)::double precision" -%}
    {%- set p = "(" ~ hits ~ ")::double precision / " ~ n -%}
    {{ p }} as {{ rate }},
    {{ wilson_bound(p, n, '-') }} as {{ bounds or rate }}_low,
    {{ wilson_bound(p, n, '+') }} as {{ bounds or rate }}_high,
    coalesce({{ total }}, 0)::bigint as {{ count }}
{%- endmacro %}

{# One-sided p-value of a share being larger than another: the pooled two-proportion z-test, which statsmodels
   has as proportions_ztest. Null where fewer than five cases of either kind are to be expected on a side:
   the normal distribution says nothing there. erfc needs PostgreSQL 16. #}
{% macro larger_share_p(hits, total, other_hits, other_total) -%}
    {%- set all_hits, all = hits ~ " + " ~ other_hits, total ~ " + " ~ other_total -%}
    {%- set pooled = "(" ~ all_hits ~ ")::double precision / nullif(" ~ all ~ ", 0)" -%}
    {%- set share = hits ~ "::double precision / " ~ total -%}
    {%- set other_share = other_hits ~ "::double precision / " ~ other_total -%}
    case
        when least({{ total }}, {{ other_total }}) * least({{ pooled }}, 1 - {{ pooled }}) >= 5
            then erfc(
                ({{ share }} - {{ other_share }})
                / sqrt(2 * {{ pooled }} * (1 - {{ pooled }}) * (1.0 / {{ total }} + 1.0 / {{ other_total }}))
            ) / 2
    end
{%- endmacro %}

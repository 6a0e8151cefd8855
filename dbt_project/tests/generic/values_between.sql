{# Values, where there are some, lie between two bounds, both included; null is no bound. One test for all
   columns of a model: each test is a query of its own. *ranges* is {column: [low, high]}. #}
{% test values_between(model, ranges) %}
select {{ ranges | join(', ') }}
from {{ model }}
where
    false
    {% for column, (low, high) in ranges.items() -%}
        {%- if low is not none %} or {{ column }} < {{ low }}{% endif -%}
        {%- if high is not none %} or {{ column }} > {{ high }}{% endif %}
    {% endfor %}
{% endtest %}

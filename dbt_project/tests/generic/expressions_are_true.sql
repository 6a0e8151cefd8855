{# Conditions hold in each row; null is a failure. One test for all of them: each test is a query of its own. #}
{% test expressions_are_true(model, expressions) %}
select *
from {{ model }}
where
    {% for expression in expressions -%}
        {{ 'or ' if not loop.first }}({{ expression }}) is not true
    {% endfor %}
{% endtest %}

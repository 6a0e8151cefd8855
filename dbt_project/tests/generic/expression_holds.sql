{# A condition on the table as a whole holds. #}
{% test expression_holds(model, expression) %}
select 1
from {{ model }}
having not ({{ expression }})
{% endtest %}

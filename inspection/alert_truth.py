"""What people's reviews say about the production model, measured in the marts.

Truth is a person's decision, of several on a part the last. Reviews count by the time of the decision,
so that one that comes late is not lost; each weighs 1 / `review_probability`.
"""

from __future__ import annotations

from psycopg2.extensions import cursor

from inspection.alert_rules import Rule
from inspection.alert_states import Measurement, Period
from inspection.statistics import WeightedShare

_TRUTH = """
with last_review as (
    select distinct on (inspection_id) inspection_id, decision, defect_class, reviewed_at
    from marts.fct_reviews
    where reviewed_at > %(since)s and reviewed_at <= %(until)s
    order by inspection_id, reviewed_at desc, review_id desc
),
truth as (
    select
        last_review.*,
        predictions.auto_action,
        1 / nullif(predictions.review_probability, 0) as weight,
        exists (
            select from marts.fct_overrides as overrides
            where overrides.inspection_id = last_review.inspection_id
                and overrides.override_timestamp = last_review.reviewed_at
        ) as overridden
    from last_review
    inner join marts.fct_predictions as predictions
        on predictions.inspection_id = last_review.inspection_id and predictions.role = 'production'
)
"""


def rate(
    warehouse: cursor, rule: Rule, period: Period, *, among: str, hit: str, weight: str = "weight"
) -> list[Measurement]:
    """Measures the share of `hit` among the reviewed parts that are `among`.

    Args:
        warehouse: an open cursor.
        rule: not needed; all measures take it.
        period: of the reviews.
        among: SQL condition.
        hit: SQL condition, never null.
        weight: SQL expression; parts where it is null stand for nothing known and are left out.
    """
    warehouse.execute(
        f"""
        {_TRUTH}
        select
            count(weight),
            coalesce(sum(weight), 0),
            coalesce(sum(weight * weight), 0),
            coalesce(sum(weight) filter (where hit), 0),
            coalesce(sum(weight * weight) filter (where hit), 0)
        from (select {weight} as weight, {hit} as hit from truth where {among}) as sample
        where weight is not null
        """,
        {"since": period.since, "until": period.until},
    )
    ((count, *sums),) = warehouse.fetchall()
    share = WeightedShare(count, *(float(each) for each in sums))
    return [Measurement(value=share.value, bound=share.lower(), count=count)]


def safety_critical_accepts(warehouse: cursor, rule: Rule, period: Period) -> list[Measurement]:
    """Finds the accepted parts with a confirmed safety-critical defect that no answered alert named."""
    warehouse.execute(
        f"""
        {_TRUTH}
        select truth.inspection_id::text
        from truth
        where truth.auto_action = 'ACCEPT'
            and truth.decision <> 'PASS'
            and truth.defect_class in (select defect_class from marts.dim_defect_class where safety_critical)
            and truth.inspection_id::text not in (
                select unnest(evidence) from monitoring.alerts
                where rule = %(rule)s and follows_resume is distinct from %(resume)s
            )
        order by truth.reviewed_at, truth.inspection_id
        """,
        {
            "since": period.since,
            "until": period.until,
            "rule": rule.name,
            "resume": period.follows_resume,
        },
    )
    evidence = tuple(row[0] for row in warehouse.fetchall())
    return [Measurement(value=len(evidence), count=len(evidence), evidence=evidence)]

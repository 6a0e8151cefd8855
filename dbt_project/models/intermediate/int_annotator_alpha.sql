-- Krippendorff's alpha for nominal data, several annotators and missing values, by scope (Krippendorff,
-- Computing Krippendorff's Alpha-Reliability, 2011): 1 - observed / expected disagreement. A unit is an
-- image that at least two confident annotators judged; its value is their primary label, in the scope of
-- a class whether it is that class.
with

-- Counted first: there are more annotators than values.
labels as (

    select
        image_id,
        plant_id,
        annotator_count,
        label,
        count(*) as votes
    from {{ ref('int_annotator_labels') }}
    where annotator_count > 1
    group by image_id, plant_id, annotator_count, label

),

classes as (

    select defect_class from {{ ref('stg_ontology_classes') }}

),

scoped as (

    select
        'overall' as scope,
        image_id,
        annotator_count,
        label,
        votes
    from labels
    union all
    select
        'plant:' || plant_id,
        image_id,
        annotator_count,
        label,
        votes
    from labels
    where plant_id is not null
    union all
    select
        'class:' || classes.defect_class,
        labels.image_id,
        labels.annotator_count,
        (labels.label = classes.defect_class)::text,
        labels.votes
    from labels
    cross join classes

),

-- How many annotators of a unit gave it a value: n_uc.
counted as (

    select
        scope,
        image_id,
        label,
        annotator_count,
        sum(votes) as votes
    from scoped
    group by scope, image_id, label, annotator_count

),

-- Of each value the pairable votes n_c, and the coincidences with itself o_cc.
coincidences as (

    select
        scope,
        label,
        sum(votes) as votes,
        sum(votes * (votes - 1) / (annotator_count - 1)) as matches
    from counted
    group by scope, label

),

sums as (

    select
        scope,
        sum(votes) as votes,
        sum(matches) as matches,
        sum(votes * (votes - 1)) as chance_matches
    from coincidences
    group by scope

),

units as (

    select
        scope,
        count(distinct image_id) as images
    from scoped
    group by scope

)

select
    sums.scope,
    units.images,
    (
        1 - (sums.votes - 1) * (sums.votes - sums.matches)
        / nullif(sums.votes * (sums.votes - 1) - sums.chance_matches, 0)
    )::double precision as alpha
from sums
inner join units on sums.scope = units.scope

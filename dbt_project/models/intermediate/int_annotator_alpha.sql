-- Krippendorff's alpha for nominal data, several annotators and missing values, by scope (Krippendorff,
-- Computing Krippendorff's Alpha-Reliability, 2011): 1 - observed / expected disagreement. A unit is an
-- image that at least two confident annotators judged; its value is their primary label, in the scope of
-- a class whether it is that class.
with

-- How many annotators of a unit gave it a value: n_uc.
counted as (

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

-- Of each value the pairable votes n_c, and the coincidences with itself o_cc.
values_of_plants as (

    select
        plant_id,
        label,
        sum(votes) as votes,
        sum((votes * (votes - 1))::numeric / (annotator_count - 1)) as matches,
        -- What the other annotators of these units lose in coincidences, if all other labels were one.
        sum(
            annotator_count
            - ((annotator_count - votes) * (annotator_count - votes - 1))::numeric / (annotator_count - 1)
        )
        as lost_matches
    from counted
    group by plant_id, label

),

images_of_plants as (

    select
        plant_id,
        count(distinct image_id) as images
    from counted
    group by plant_id

),

totals as (

    select sum(votes) as votes
    from values_of_plants

),

classes as (

    select
        classes.defect_class,
        coalesce(sum(of_plants.votes), 0) as votes,
        coalesce(sum(of_plants.matches), 0) as matches,
        coalesce(sum(of_plants.lost_matches), 0) as lost_matches
    from {{ ref('stg_ontology_classes') }} as classes
    left join values_of_plants as of_plants on classes.defect_class = of_plants.label
    group by classes.defect_class

),

coincidences as (

    select
        'overall' as scope,
        label,
        sum(votes) as votes,
        sum(matches) as matches
    from values_of_plants
    group by label
    union all
    select
        'plant:' || plant_id,
        label,
        votes,
        matches
    from values_of_plants
    where plant_id is not null
    union all
    select
        'class:' || defect_class,
        'this class',
        votes,
        matches
    from classes
    union all
    -- Were no label this class, each vote would coincide with one other in the mean.
    select
        'class:' || classes.defect_class,
        'another',
        totals.votes - classes.votes,
        totals.votes - classes.lost_matches
    from classes
    cross join totals

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

scopes_of_all as (

    select 'overall' as scope
    union all
    select 'class:' || defect_class from classes

),

units as (

    select
        'plant:' || plant_id as scope,
        images
    from images_of_plants
    union all
    select
        scopes_of_all.scope,
        sum(images_of_plants.images)
    from images_of_plants
    cross join scopes_of_all
    group by scopes_of_all.scope

)

select
    sums.scope,
    units.images::bigint as images,
    (
        1 - (sums.votes - 1) * (sums.votes - sums.matches)
        / nullif(sums.votes * (sums.votes - 1) - sums.chance_matches, 0)
    )::double precision as alpha
from sums
inner join units on sums.scope = units.scope

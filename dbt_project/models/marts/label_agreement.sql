-- Agreement of pairs of annotators on an image's primary label. In the scope of a class the question is
-- "this class or not": its rate counts the pairs of which at least one said the class, its kappa all
-- pairs. In the scope of a pair of classes the question is "which of the two". Kappa is Scott's pi
-- (1955): pooled pairs have no first and second annotator, so both share one distribution of labels.
-- Alpha weighs images, where kappa weighs pairs, and allows for the size of the sample.
with

-- Counted first: few pairs of annotators and of labels stand for many images.
pairs as (

    select
        plant_id,
        annotator_1,
        annotator_2,
        label_1,
        label_2,
        count(*) as images
    from {{ ref('int_annotator_pairs') }}
    group by plant_id, annotator_1, annotator_2, label_1, label_2

),

classes as (

    select defect_class from {{ ref('dim_defect_class') }}

),

scoped as (

    select
        'overall' as scope,
        label_1 as one,
        label_2 as other,
        true as in_rate,
        images
    from pairs
    union all
    select
        'plant:' || plant_id,
        label_1,
        label_2,
        true,
        images
    from pairs
    union all
    select
        'annotator:' || annotator_1,
        label_1,
        label_2,
        true,
        images
    from pairs
    union all
    select
        'annotator:' || annotator_2,
        label_1,
        label_2,
        true,
        images
    from pairs
    union all
    select
        'class:' || classes.defect_class,
        (pairs.label_1 = classes.defect_class)::text,
        (pairs.label_2 = classes.defect_class)::text,
        classes.defect_class in (pairs.label_1, pairs.label_2),
        pairs.images
    from pairs
    cross join classes
    union all
    select
        'pair:' || first_class.defect_class || '/' || second_class.defect_class,
        pairs.label_1,
        pairs.label_2,
        true,
        pairs.images
    from pairs
    cross join classes as first_class
    inner join classes as second_class on first_class.defect_class < second_class.defect_class
    where
        pairs.label_1 in (first_class.defect_class, second_class.defect_class)
        and pairs.label_2 in (first_class.defect_class, second_class.defect_class)

),

alphas as (

    select * from {{ ref('int_annotator_alpha') }}

),

scopes as (

    select 'overall' as scope
    union
    select scope from scoped

),

rates as (

    select
        scope,
        coalesce(sum(images) filter (where in_rate), 0) as pairs,
        coalesce(sum(images) filter (where in_rate and one = other), 0) as agreed,
        coalesce(sum(images) filter (where one = other), 0) / sum(images) as observed
    from scoped
    group by scope

),

both_orders as (

    select
        scope,
        one as label,
        images
    from scoped
    union all
    select
        scope,
        other,
        images
    from scoped

),

chance as (

    select
        scope,
        sum(share ^ 2) as expected
    from (
        select
            scope,
            sum(images) / sum(sum(images)) over (partition by scope) as share
        from both_orders
        group by scope, label
    ) as shares
    group by scope

)

select
    scopes.scope,
    {{ counted_rate('agreement_rate', 'rates.agreed', 'rates.pairs', count='pairs', bounds='agreement') }},
    ((rates.observed - chance.expected) / nullif(1 - chance.expected, 0))::double precision as kappa,
    alphas.alpha
from scopes
left join rates on scopes.scope = rates.scope
left join chance on scopes.scope = chance.scope
left join alphas on scopes.scope = alphas.scope

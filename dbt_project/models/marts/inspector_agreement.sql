-- The inspector as an appraiser: attribute agreement analysis (AIAG, Measurement Systems Analysis, 4th ed.,
-- 2010). FAIL and REWORK both mean rejected. Within: two decisions of one inspector on one image. Between:
-- two decisions of different inspectors on one image; its kappa is Scott's pi (1955), as pooled pairs have
-- no first and second inspector. Against the standard, which is the annotators' consensus: one decision;
-- its kappa is Cohen's (1960).
with

standards as (

    select
        image_id,
        cardinality(labels) > 0 as defective
    from {{ ref('fct_image_labels') }}
    where label_source = 'consensus'

),

images as (

    select
        decided.*,
        decided.decisions - decided.rejections as passes,
        decided.decisions_of_others - decided.rejections_of_others as passes_of_others,
        standards.defective
    from {{ ref('int_inspector_images') }} as decided
    left join standards on decided.image_id = standards.image_id

),

-- Seen from one inspector: a pair of two inspectors is counted with each of them. Summed up first, as there
-- are many more images than inspectors.
pairs as (

    select
        inspector_id,
        plant_id,
        sum(decisions * (decisions - 1) / 2) as within_pairs,
        sum((rejections * (rejections - 1) + passes * (passes - 1)) / 2) as within_agreed,
        sum(decisions * decisions_of_others) as between_pairs,
        sum(rejections * rejections_of_others + passes * passes_of_others) as between_agreed,
        sum(rejections * decisions_of_others + decisions * rejections_of_others) as between_rejections,
        sum(decisions) filter (where defective is not null) as standard,
        sum(rejections) filter (where defective is not null) as standard_rejections,
        sum(decisions) filter (where defective) as defective,
        sum(passes) filter (where defective) as missed,
        sum(decisions) filter (where not defective) as clean,
        sum(rejections) filter (where not defective) as over_rejected
    from images
    group by inspector_id, plant_id

),

scoped as (

    select
        'inspector:' || pairs.inspector_id as scope,
        1 as seen,
        pairs.*
    from pairs
    union all
    select
        'plant:' || pairs.plant_id,
        2,
        pairs.*
    from pairs
    where pairs.plant_id is not null
    union all
    select
        'overall',
        2,
        pairs.*
    from pairs

),

scopes as (

    select 'overall' as scope
    union
    select scope from scoped

),

sums as (

    select
        scopes.scope,
        sum(scoped.within_pairs) as within_pairs,
        sum(scoped.within_agreed) as within_agreed,
        sum(scoped.between_pairs) / max(scoped.seen) as between_pairs,
        sum(scoped.between_agreed) / max(scoped.seen) as between_agreed,
        sum(scoped.between_rejections) / nullif(2 * sum(scoped.between_pairs), 0) as between_rejected,
        sum(scoped.standard) as standard,
        sum(scoped.standard_rejections) / sum(scoped.standard) as rejected,
        coalesce(sum(scoped.defective), 0) / sum(scoped.standard) as defects,
        coalesce(sum(scoped.missed), 0) as missed,
        sum(scoped.defective) as defective,
        coalesce(sum(scoped.over_rejected), 0) as over_rejected,
        sum(scoped.clean) as clean
    from scopes
    left join scoped on scopes.scope = scoped.scope
    group by scopes.scope

),

chance as (

    select
        *,
        standard - missed - over_rejected as agreed,
        between_rejected ^ 2 + (1 - between_rejected) ^ 2 as between_expected,
        rejected * defects + (1 - rejected) * (1 - defects) as expected
    from sums

)

select
    scope,
    {{ counted_rate('within_agreement', 'within_agreed', 'within_pairs', count='within_pairs') }},
    {{ counted_rate('between_agreement', 'between_agreed', 'between_pairs', count='between_pairs') }},
    (
        (between_agreed / nullif(between_pairs, 0) - between_expected) / nullif(1 - between_expected, 0)
    )::double precision as between_kappa,
    {{ counted_rate('consensus_agreement', 'agreed', 'standard', count='consensus_decisions') }},
    ((agreed / standard - expected) / nullif(1 - expected, 0))::double precision as consensus_kappa,
    {{ counted_rate('miss_rate', 'missed', 'defective', count='defective_decisions') }},
    {{ counted_rate('over_reject_rate', 'over_rejected', 'clean', count='clean_decisions') }}
from chance

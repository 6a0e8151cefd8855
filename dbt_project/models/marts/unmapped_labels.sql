-- The nearest alias shares most trigrams with the label: of the three-letter pieces of the two, padded as
-- pg_trgm does (two blanks before, one behind), the share that both have. Written out, since a plant's own
-- database need not allow the extension.
with

annotations as (

    select * from {{ ref('int_annotations') }} where set_aside_for = 'unknown_label'

),

decisions as (

    select
        int_results.result_id,
        int_results.image_id,
        int_results.updated_at,
        stg_results.defect_codes
    from {{ ref('int_inspection_results') }} as int_results
    inner join {{ ref('stg_inspection_results') }} as stg_results
        on int_results.result_id = stg_results.result_id
    where int_results.set_aside_for = 'unknown_label'

),

images as (

    select
        image_id,
        plant_id
    from {{ ref('int_images') }}

),

classes as (

    select * from {{ ref('stg_ontology_classes') }}

),

spelled as (

    select
        {{ normalise_label('alias.name') }} as alias,
        alias.name as spelling,
        classes.defect_class
    from classes
    cross join lateral unnest(classes.aliases || classes.defect_class) as alias (name)

),

known as (

    select
        alias,
        min(spelling) as spelling,
        defect_class
    from spelled
    group by alias, defect_class

),

typed as (

    select
        'defect_annotations' as source_table,
        plant_id,
        raw_label,
        updated_at
    from annotations

    union all

    select
        'inspection_results' as source_table,
        images.plant_id,
        code.name as raw_label,
        decisions.updated_at
    from decisions
    cross join lateral unnest(decisions.defect_codes) as code (name)
    left join images on decisions.image_id = images.image_id

),

normalised as (

    select
        *,
        {{ normalise_label('raw_label') }} as label
    from typed

),

unmapped as (

    select
        normalised.source_table,
        normalised.label,
        normalised.plant_id,
        mode() within group (order by normalised.raw_label) as raw_label,
        count(*) as occurrences,
        min(normalised.updated_at) as first_seen_at,
        max(normalised.updated_at) as last_seen_at
    from normalised
    left join known on normalised.label = known.alias
    where known.alias is null
    group by normalised.source_table, normalised.label, normalised.plant_id

),

words as (

    select label as word from unmapped
    union
    select alias as word from known

),

pieces as (

    select distinct
        words.word,
        substr('  ' || words.word || ' ', place.n, 3) as trigram
    from words
    cross join lateral generate_series(1, length(words.word) + 1) as place (n)

),

sizes as (

    select
        word,
        count(*) as trigrams
    from pieces
    group by word

),

shared as (

    select
        label_pieces.word as label,
        alias_pieces.word as alias,
        count(*) as trigrams
    from pieces as label_pieces
    inner join pieces as alias_pieces on label_pieces.trigram = alias_pieces.trigram
    where
        label_pieces.word in (select unmapped.label from unmapped)
        and alias_pieces.word in (select known.alias from known)
    group by label_pieces.word, alias_pieces.word

),

nearest as (

    select distinct on (shared.label)
        shared.label,
        known.spelling as nearest_alias,
        known.defect_class as nearest_class,
        shared.trigrams::double precision
        / (label_sizes.trigrams + alias_sizes.trigrams - shared.trigrams) as similarity
    from shared
    inner join sizes as label_sizes on shared.label = label_sizes.word
    inner join sizes as alias_sizes on shared.alias = alias_sizes.word
    inner join known on shared.alias = known.alias
    order by shared.label asc, similarity desc, shared.alias asc

)

select
    unmapped.source_table,
    unmapped.label,
    unmapped.raw_label,
    unmapped.plant_id,
    nearest.nearest_alias,
    nearest.nearest_class,
    unmapped.occurrences,
    nearest.similarity,
    unmapped.first_seen_at,
    unmapped.last_seen_at
from unmapped
left join nearest on unmapped.label = nearest.label

-- A review names a class of its day. If that has since become another one, the review counts for that.
with

reviews as (

    select
        *,
        {{ normalise_label('defect_class') }} as alias
    from {{ source('inference', 'reviews') }}

),

aliases as (

    select * from {{ ref('stg_ontology_aliases') }}

)

select
    reviews.review_id,
    reviews.inspection_id,
    reviews.image_id,
    reviews.inspector_id,
    reviews.key_name,
    reviews.decision,
    coalesce(aliases.defect_class, reviews.defect_class) as defect_class,
    reviews.reviewed_at
from reviews
left join aliases on reviews.alias = aliases.alias

-- Reviews that disagree with the production model: on the verdict, or on the class of a rejected part.
with

predictions as (

    select
        predictions.*,
        (
            select defect.value ->> 'class'
            from jsonb_array_elements(predictions.defects) as defect
            order by (defect.value ->> 'confidence')::double precision desc
            limit 1
        ) as model_class
    from {{ ref('fct_predictions') }} as predictions
    where predictions.role = 'production' and predictions.prediction is not null

),

aliases as (

    select * from {{ ref('stg_ontology_aliases') }}

),

-- As with the classes of reviews: two names of one class are no disagreement.
judged as (

    select
        predictions.inspection_id,
        predictions.prediction,
        coalesce(aliases.defect_class, predictions.model_class) as model_class
    from predictions
    left join aliases on {{ normalise_label('predictions.model_class') }} = aliases.alias

),

reviews as (

    select * from {{ ref('fct_reviews') }}

)

select
    reviews.review_id as override_id,
    reviews.inspection_id,
    reviews.image_id,
    judged.prediction as model_prediction,
    reviews.decision as inspector_decision,
    judged.model_class,
    reviews.defect_class as inspector_class,
    reviews.inspector_id,
    reviews.reviewed_at as override_timestamp
from reviews
inner join judged on reviews.inspection_id = judged.inspection_id
where
    (judged.prediction = 'PASS') <> (reviews.decision = 'PASS')
    or (
        judged.prediction = 'FAIL'
        and reviews.decision <> 'PASS'
        and reviews.defect_class <> judged.model_class
    )

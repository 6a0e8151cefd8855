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

reviews as (

    select * from {{ ref('fct_reviews') }}

)

select
    reviews.review_id as override_id,
    reviews.inspection_id,
    reviews.image_id,
    predictions.prediction as model_prediction,
    reviews.decision as inspector_decision,
    predictions.model_class,
    reviews.defect_class as inspector_class,
    reviews.inspector_id,
    reviews.reviewed_at as override_timestamp
from reviews
inner join predictions on reviews.inspection_id = predictions.inspection_id
where
    (predictions.prediction = 'PASS') <> (reviews.decision = 'PASS')
    or (
        predictions.prediction = 'FAIL'
        and reviews.decision <> 'PASS'
        and reviews.defect_class <> predictions.model_class
    )

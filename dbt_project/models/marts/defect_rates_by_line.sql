-- By the week of capture, which begins on Monday in UTC.
with

labelled as (

    select
        images.line_id,
        labels.label,
        date_trunc('week', images.capture_timestamp, 'UTC') as week
    from {{ ref('fct_image_labels') }} as labels
    inner join {{ ref('int_images') }} as images on labels.image_id = images.image_id
    where images.line_id is not null

),

line_weeks as (

    select
        line_id,
        week,
        count(*) as images
    from labelled
    group by line_id, week

),

defects as (

    select * from {{ ref('dim_defect_class') }} where not clean

),

counted as (

    select
        line_weeks.line_id,
        line_weeks.week,
        defects.defect_class,
        line_weeks.images,
        count(labelled.label) as defective
    from line_weeks
    cross join defects
    left join labelled
        on
            line_weeks.line_id = labelled.line_id
            and line_weeks.week = labelled.week
            and defects.defect_class = labelled.label
    group by line_weeks.line_id, line_weeks.week, defects.defect_class, line_weeks.images

)

select
    line_id,
    week,
    defect_class,
    defective,
    {{ counted_rate('rate', 'defective', 'images', 'images') }}
from counted

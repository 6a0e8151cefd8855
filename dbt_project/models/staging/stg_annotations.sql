-- A box is given as JSON; one that is no object of four numbers has null parts here and has_box true.
with

raw as (

    select * from {{ source('quality_vision', 'defect_annotations') }}

),

boxes as (

    select
        *,
        case when jsonb_typeof(bounding_box::jsonb) = 'object' then bounding_box::jsonb end as box
    from raw

)

select
    annotation_id::text as annotation_id,
    image_id::text as image_id,
    annotator_id::text as annotator_id,
    defect_type::text as raw_label,
    {{ normalise_label('defect_type') }} as alias,
    confidence::smallint as confidence,
    case when jsonb_typeof(box -> 'x') = 'number' then (box ->> 'x')::double precision end as bbox_x,
    case when jsonb_typeof(box -> 'y') = 'number' then (box ->> 'y')::double precision end as bbox_y,
    case
        when jsonb_typeof(box -> 'width') = 'number' then (box ->> 'width')::double precision
    end as bbox_width,
    case
        when jsonb_typeof(box -> 'height') = 'number' then (box ->> 'height')::double precision
    end as bbox_height,
    coalesce(jsonb_typeof(bounding_box::jsonb) <> 'null', false) as has_box,
    updated_at,
    read_at
from boxes

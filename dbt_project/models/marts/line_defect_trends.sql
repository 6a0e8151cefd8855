-- Each line in the newest days against the other lines in the same days, and against itself in three times
-- as many days before. "Newest" is told by the newest labelled image.
with

labelled as (

    select
        images.line_id,
        images.capture_timestamp,
        labels.label
    from {{ ref('fct_image_labels') }} as labels
    inner join {{ ref('int_images') }} as images on labels.image_id = images.image_id
    where images.line_id is not null

),

windows as (

    select
        max(capture_timestamp) - make_interval(days => {{ var('trend_days') }}) as recent_from,
        max(capture_timestamp) - make_interval(days => 4 * {{ var('trend_days') }}) as earlier_from
    from labelled

),

placed as (

    select
        labelled.line_id,
        labelled.label,
        labelled.capture_timestamp > windows.recent_from as recent
    from labelled
    cross join windows
    where labelled.capture_timestamp > windows.earlier_from

),

lines as (

    select
        line_id,
        count(*) filter (where recent) as recent_images,
        count(*) filter (where not recent) as earlier_images
    from placed
    group by line_id

),

hits as (

    select
        line_id,
        label,
        count(*) filter (where recent) as recent_defective,
        count(*) filter (where not recent) as earlier_defective
    from placed
    group by line_id, label

),

defects as (

    select * from {{ ref('dim_defect_class') }} where not clean

),

counted as (

    select
        lines.line_id,
        defects.defect_class,
        lines.recent_images,
        lines.earlier_images,
        coalesce(hits.recent_defective, 0) as recent_defective,
        coalesce(hits.earlier_defective, 0) as earlier_defective
    from lines
    cross join defects
    left join hits on lines.line_id = hits.line_id and defects.defect_class = hits.label

),

beside as (

    select
        *,
        (sum(recent_images) over class)::bigint - recent_images as other_images,
        (sum(recent_defective) over class)::bigint - recent_defective as other_defective
    from counted
    window class as (partition by defect_class)

),

tested as (

    select
        *,
        {{ larger_share_p('recent_defective', 'recent_images', 'other_defective', 'other_images') }}
        as elevated_p,
        {{ larger_share_p('recent_defective', 'recent_images', 'earlier_defective', 'earlier_images') }}
        as rising_p
    from beside

)

select
    line_id,
    defect_class,
    recent_defective,
    {{ counted_rate('recent_rate', 'recent_defective', 'recent_images', 'recent_images') }},
    other_defective,
    {{ counted_rate('other_rate', 'other_defective', 'other_images', 'other_images') }},
    earlier_defective,
    {{ counted_rate('earlier_rate', 'earlier_defective', 'earlier_images', 'earlier_images') }},
    recent_defective::double precision / nullif(recent_images, 0)
    / nullif(other_defective::double precision / nullif(other_images, 0), 0) as rate_ratio,
    -- Katz et al. 1978; 1.645 is the normal distribution's 95 % point.
    case
        when recent_defective > 0 and other_defective > 0
            then
                recent_defective::double precision / recent_images / other_defective * other_images
                * exp(-1.6448536269514722 * sqrt(
                    1.0 / recent_defective - 1.0 / recent_images + 1.0 / other_defective - 1.0 / other_images
                ))
    end::double precision as rate_ratio_low,
    elevated_p,
    rising_p,
    -- Of so many comparisons some are large by chance (Bonferroni).
    coalesce(elevated_p * count(elevated_p) over () <= {{ var('trend_alpha') }}, false) as elevated,
    coalesce(rising_p * count(rising_p) over () <= {{ var('trend_alpha') }}, false) as rising
from tested

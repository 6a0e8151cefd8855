-- The deal of the newest split release: each labelled image's side and fold. The asset `split_release`
-- freezes it in releases.split_assignments; nothing else reads it.
with

release as (

    select *
    from {{ source('releases', 'split_releases') }}
    order by created_at desc, release_id desc
    limit 1

),

candidates as (

    select
        labels.image_id,
        images.production_order_id,
        images.part_type,
        images.capture_timestamp,
        labels.label,
        release.release_id,
        release.policy
    from {{ ref('fct_image_labels') }} as labels
    inner join {{ ref('int_images') }} as images on labels.image_id = images.image_id
    cross join release
    where
        images.capture_timestamp <= release.as_of
        and (
            release.policy = 'grouped'
            or images.capture_timestamp > release.as_of - make_interval(days => release.window_days)
        )

),

-- The newest 15 %; images taken at the boundary's very moment are test as well.
boundary as (

    select
        percentile_disc({{ var('test_share') }}) within group (order by capture_timestamp desc) as test_from
    from candidates

),

test_orders as (

    select distinct candidates.production_order_id
    from candidates
    cross join boundary
    where candidates.policy = 'chronological' and candidates.capture_timestamp >= boundary.test_from

),

class_counts as (

    select
        label,
        count(*) as images
    from candidates
    group by label

),

-- An order stands in the stratum of its rarest label.
orders as (

    select distinct on (candidates.production_order_id)
        candidates.production_order_id,
        candidates.part_type,
        candidates.label,
        class_counts.images as rarity,
        count(*) over (partition by candidates.production_order_id) as order_images,
        count(*) over (partition by candidates.production_order_id, candidates.label) as label_images,
        case candidates.policy when 'grouped' then 6 else 5 end as slots
    from candidates
    inner join class_counts on candidates.label = class_counts.label
    left join test_orders on candidates.production_order_id = test_orders.production_order_id
    where test_orders.production_order_id is null
    order by candidates.production_order_id, class_counts.images, candidates.label, candidates.part_type

),

ranked as (

    select
        *,
        row_number() over (
            partition by label
            order by label_images desc, order_images desc, part_type asc, md5(production_order_id)
        ) - 1 as place,
        -- Where the stratum before left off.
        count(*) over (order by rarity, label range unbounded preceding)
        - count(*) over (partition by label) as places_before
    from orders

),

-- Each slot once, then again in the opposite order, so that none always gets the larger of neighbours:
-- a label of as many orders as there are slots stands in every one of them.
dealt as (

    select
        production_order_id,
        (
            places_before
            + case when (place / slots) % 2 = 0 then place % slots else slots - 1 - place % slots end
        ) % slots + 1 as slot
    from ranked

)

select
    candidates.release_id,
    candidates.image_id,
    candidates.production_order_id,
    case
        when test_orders.production_order_id is null
            then case dealt.slot when 6 then 'test' when 5 then 'validation' else 'train' end
        when candidates.capture_timestamp >= boundary.test_from then 'test'
        else 'dropped'
    end as split,
    case when dealt.slot <= 5 then dealt.slot::smallint end as fold_id
from candidates
cross join boundary
left join test_orders on candidates.production_order_id = test_orders.production_order_id
left join dealt on candidates.production_order_id = dealt.production_order_id

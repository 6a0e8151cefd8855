-- Images with their place, and why an image is set aside (null: it is not).
{{ config(
    materialized='incremental',
    pre_hook="{{ take_out_changed() }}",
    post_hook=["{{ index_set_aside() }}", "{{ note_changes_taken_in() }}"]
) }}

with

images as (

    select * from {{ ref('stg_images') }} where {{ changed_only('image_id') }}

),

orders as (

    select * from {{ ref('stg_production_orders') }}

),

machines as (

    select * from {{ ref('stg_machines') }}

),

cameras as (

    select * from {{ ref('stg_cameras') }}

),

unreadable as (

    select * from {{ source('features', 'unreadable_images') }}

),

annotated as (

    select distinct image_id from {{ ref('stg_annotations') }} where {{ changed_only('image_id') }}

),

ranked as (

    select
        images.*,
        -- Of rows that name one file, what annotators have worked on stays and its copies go.
        row_number() over (
            partition by images.image_path
            order by annotated.image_id is null, images.updated_at, images.image_id
        ) as place_of_path
    from images
    left join annotated on images.image_id = annotated.image_id

)

select
    ranked.image_id,
    ranked.production_order_id,
    ranked.machine_id,
    ranked.camera_id,
    ranked.part_serial,
    ranked.part_type,
    ranked.image_path,
    coalesce(orders.plant_id, machines.plant_id) as plant_id,
    coalesce(orders.line_id, machines.line_id) as line_id,
    case
        when orders.production_order_id is null then 'orphan_order'
        when ranked.capture_timestamp > coalesce(ranked.read_at, current_timestamp) then 'future_timestamp'
        when ranked.place_of_path > 1 then 'duplicate'
        else unreadable.reason
    end as set_aside_for,
    unreadable.reason as unreadable_because,
    cameras.frame_width,
    cameras.frame_height,
    ranked.capture_timestamp,
    ranked.updated_at
from ranked
left join orders on ranked.production_order_id = orders.production_order_id
left join machines on ranked.machine_id = machines.machine_id
left join cameras on ranked.camera_id = cameras.camera_id
-- A file that has come back under another path is read again.
left join unreadable
    on
        ranked.image_id = unreadable.image_id
        and ranked.image_path = unreadable.image_path

-- What the incremental models have to do again, in batches; each of them keeps the number of the last batch
-- that it has taken in (builds.progress), and what all of them have taken in goes.
{{ config(
    materialized='incremental',
    pre_hook="{{ drop_taken_in_changes() }}",
    post_hook=["analyze {{ this }}", "{{ note_changes_found() }}"],
    indexes=[{'columns': ['batch']}]
) }}

{%- set since = inputs_of_last_build(ref('int_inputs')) %}
{%- set previous_images = built_before('int_images') %}
{%- set previous_annotations = built_before('int_annotations') %}
{%- set previous_results = built_before('int_inspection_results') %}

{#- dbt has to come by each ref when it only reads the project. #}
{% if execute and not (since and previous_images and previous_annotations and previous_results) %}

    select
        {{ next_batch() }}::bigint as batch,
        null::text as image_id,
        null::text as result_id,
        true as everything

{% else %}

with

annotations as (

    select * from {{ ref('stg_annotations') }}

),

results as (

    select * from {{ ref('stg_inspection_results') }}

),

deleted as (

    select * from {{ source('ingestion', 'deleted_rows') }}

),

unreadable as (

    select * from {{ source('features', 'unreadable_images') }}

),

changed_images as (

    select
        image_id,
        image_path
    from {{ ref('stg_images') }}
    where read_at > '{{ since.images_read_until }}'
    union
    select
        document ->> 'image_id',
        document ->> 'image_path'
    from deleted
    where table_name = 'image_metadata' and deleted_at > '{{ since.images_deleted_until }}'

),

changed_annotations as (

    select
        annotation_id,
        image_id
    from annotations
    where read_at > '{{ since.annotations_read_until }}'
    union
    select
        document ->> 'annotation_id',
        document ->> 'image_id'
    from deleted
    where table_name = 'defect_annotations' and deleted_at > '{{ since.annotations_deleted_until }}'

),

changed_results as (

    select
        result_id,
        image_id
    from results
    where read_at > '{{ since.results_read_until }}'
    union
    select
        document ->> 'result_id',
        document ->> 'image_id'
    from deleted
    where table_name = 'inspection_results' and deleted_at > '{{ since.results_deleted_until }}'

),

changed_orders as (

    select production_order_id
    from {{ ref('stg_production_orders') }}
    where read_at > '{{ since.orders_read_until }}'
    union
    select document ->> 'production_order_id'
    from deleted
    where table_name = 'production_orders' and deleted_at > '{{ since.orders_deleted_until }}'

),

touched as (

    select image_id from changed_images
    union
    select image_id from changed_annotations
    union
    select image_id from changed_results
    union
    -- An annotation or a decision may have been on another image before.
    select previous.image_id
    from {{ previous_annotations }} as previous
    inner join changed_annotations on previous.annotation_id = changed_annotations.annotation_id
    union
    select previous.image_id
    from {{ previous_results }} as previous
    inner join changed_results on previous.result_id = changed_results.result_id
    union
    select images.image_id
    from {{ ref('stg_images') }} as images
    inner join changed_orders on images.production_order_id = changed_orders.production_order_id
    union
    select previous.image_id
    from {{ previous_images }} as previous
    inner join unreadable on previous.image_id = unreadable.image_id and previous.image_path = unreadable.image_path
    where previous.unreadable_because is distinct from unreadable.reason
    union
    select previous.image_id
    from {{ previous_images }} as previous
    left join unreadable on previous.image_id = unreadable.image_id and previous.image_path = unreadable.image_path
    where previous.unreadable_because is not null and unreadable.image_id is null
    union
    -- A model that failed last time has not taken these in.
    select image_id from {{ this }}

),

-- Of images that name one file one counts, and which one depends on all of them.
paths as (

    select image_path from changed_images
    union
    select previous.image_path
    from {{ previous_images }} as previous
    inner join touched on previous.image_id = touched.image_id
    union
    select images.image_path
    from {{ ref('stg_images') }} as images
    inner join touched on images.image_id = touched.image_id

),

all_images as (

    select image_id from touched where image_id is not null
    union
    select images.image_id
    from {{ ref('stg_images') }} as images
    inner join paths on images.image_path = paths.image_path

),

all_results as (

    select result_id from changed_results
    union
    select previous.result_id
    from {{ previous_results }} as previous
    inner join all_images on previous.image_id = all_images.image_id
    union
    select result_id from {{ this }} where result_id is not null

)

select
    {{ next_batch() }}::bigint as batch,
    image_id,
    null::text as result_id,
    false as everything
from all_images
union all
select
    {{ next_batch() }}::bigint,
    null,
    result_id,
    false
from all_results

{% endif %}

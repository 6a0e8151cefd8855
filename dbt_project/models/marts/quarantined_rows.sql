select
    'image_metadata' as source_table,
    image_id as source_key,
    set_aside_for as reason,
    updated_at as seen_at
from {{ ref('int_images') }}
where set_aside_for is not null

union all

select
    'defect_annotations' as source_table,
    annotation_id as source_key,
    set_aside_for as reason,
    updated_at as seen_at
from {{ ref('int_annotations') }}
where set_aside_for is not null

union all

select
    'inspection_results' as source_table,
    result_id as source_key,
    set_aside_for as reason,
    updated_at as seen_at
from {{ ref('int_inspection_results') }}
where set_aside_for is not null

union all

select
    'production_orders' as source_table,
    production_order_id as source_key,
    'future_timestamp' as reason,
    updated_at as seen_at
from {{ ref('stg_production_orders') }}
where started_at > coalesce(read_at, current_timestamp)

-- Null or blank. One pass over each table counts all of its columns.
{%- set tables = {
    'stg_images': ref('stg_images'),
    'stg_annotations': ref('stg_annotations'),
    'stg_inspection_results': ref('stg_inspection_results'),
    'stg_production_orders': ref('stg_production_orders'),
    'stg_machines': ref('stg_machines'),
    'stg_cameras': ref('stg_cameras'),
} -%}
{%- set columns = {
    'stg_images': [
        'production_order_id', 'machine_id', 'camera_id', 'part_serial', 'part_type', 'image_path',
        'exposure_settings', 'capture_timestamp',
    ],
    'stg_annotations': ['image_id', 'annotator_id', 'raw_label', 'confidence', 'bbox_x'],
    'stg_inspection_results': ['image_id', 'inspector_id', 'decision', 'decided_at'],
    'stg_production_orders': ['part_type', 'plant_id', 'line_id', 'quantity', 'started_at', 'completed_at'],
    'stg_machines': ['plant_id', 'line_id', 'kind'],
    'stg_cameras': ['line_id', 'plant_id', 'frame_width', 'frame_height'],
} %}
with

counted as (

    {% for table, relation in tables.items() %}
        select
            '{{ table }}' as table_name,
            unnest(array[
                {%- for column in columns[table] %}
                    '{{ column }}'{{ ',' if not loop.last }}
                {%- endfor %}
            ]) as column_name,
            count(*) as total,
            unnest(array[
                {%- for column in columns[table] %}
                    count(*) filter (where coalesce({{ column }}::text, '') = ''){{ ',' if not loop.last }}
                {%- endfor %}
            ]) as missing
        from {{ relation }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    table_name,
    column_name,
    missing,
    {{ counted_rate('missing_share', 'missing', 'total', 'row_count') }}
from counted

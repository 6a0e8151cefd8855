-- How far the raw tables have been read and cleaned of deleted rows, and a digest of the small inputs that
-- every image depends on. Built before all else: what arrives while the models are built comes next time.
with

deleted as (

    select
        table_name,
        max(deleted_at) as deleted_until
    from {{ source('ingestion', 'deleted_rows') }}
    group by table_name

)

select
    (select max(read_at) from {{ ref('stg_images') }}) as images_read_until,
    (select max(read_at) from {{ ref('stg_annotations') }}) as annotations_read_until,
    (select max(read_at) from {{ ref('stg_inspection_results') }}) as results_read_until,
    (select max(read_at) from {{ ref('stg_production_orders') }}) as orders_read_until,
    (select deleted_until from deleted where table_name = 'image_metadata') as images_deleted_until,
    (select deleted_until from deleted where table_name = 'defect_annotations') as annotations_deleted_until,
    (select deleted_until from deleted where table_name = 'inspection_results') as results_deleted_until,
    (select deleted_until from deleted where table_name = 'production_orders') as orders_deleted_until,
    md5(concat(
        (
            select string_agg(aliases.alias || '=' || aliases.defect_class, ',' order by aliases.alias)
            from {{ ref('stg_ontology_aliases') }} as aliases
        ),
        (
            select
                string_agg(
                    concat_ws(':', classes.defect_class, classes.clean, classes.safety_critical), ','
                    order by classes.class_position
                )
            from {{ ref('stg_ontology_classes') }} as classes
        ),
        (
            select
                string_agg(
                    concat_ws(':', machines.machine_id, machines.plant_id, machines.line_id), ','
                    order by machines.machine_id
                )
            from {{ ref('stg_machines') }} as machines
        ),
        (
            select
                string_agg(
                    concat_ws(':', cameras.camera_id, cameras.frame_width, cameras.frame_height), ','
                    order by cameras.camera_id
                )
            from {{ ref('stg_cameras') }} as cameras
        )
    )) as digest_of_the_rest

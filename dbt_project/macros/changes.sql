{#
    Incremental models without history in them: each takes the images that `int_changes` names out of its
    table and puts them in again, in one transaction, as a full refresh would make them now. builds.progress
    says which batch of changes a model has taken in, so that a build that was cut short, or left models
    out, is made good by the next one. It is written by hooks and read here by name: as a source it would
    be everybody's.
#}

{# A condition on the rows of an input: does the model have to take them in? *key* is the column of
   int_changes that names them. #}
{% macro changed_only(column, key='image_id') %}
    {#- Named when dbt reads the project, for the order of the models. A unit test has no `this`, gives no
        changes, and is about all rows. -#}
    {%- set incremental = is_incremental() if this else false -%}
    {%- set changes = ref('int_changes') if incremental or not execute -%}
    {%- if not incremental -%}
        true
    {%- else -%}
        {%- set taken_in = _last_batch(this.name) -%}
        {%- set pending -%} {{ changes }} where batch > {{ taken_in }} {%- endset -%}
        {%- if taken_in is none or run_query("select 1 from " ~ pending ~ " and everything limit 1").rows -%}
            true
        {%- else -%}
            {{ column }} in (select {{ key }} from {{ pending }} and {{ key }} is not null)
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# The hooks of an incremental model: before it, and after. #}
{% macro take_out_changed(key='image_id') %}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ changed_only(key, key) }}
    {%- endif -%}
{% endmacro %}

{% macro note_changes_taken_in() %}
    {%- if execute -%}
        {%- if not is_incremental() %}
            {#- So that the next models and increments are planned by what the new table holds. -#}
            analyze {{ this }};
        {%- endif %}
        {#- No further than the models that it reads have come. #}
        insert into builds.progress (model, batch, code)
        select '{{ this.name }}', min(batch), '{{ var("code") }}' from builds.progress
        where model in ({{ _incremental_parents() }})
        on conflict (model) do update set
            batch = excluded.batch, code = excluded.code, built_at = clock_timestamp()
    {%- endif -%}
{% endmacro %}

{# A hook of models of which few rows are set aside: those are counted and listed after each build. #}
{% macro index_set_aside() %}
    {%- if not is_incremental() -%}
        create index on {{ this }} (set_aside_for) where set_aside_for is not null
    {%- endif -%}
{% endmacro %}

{# What int_changes itself needs. #}
{% macro next_batch() %}
    {%- if execute -%}
        {{ run_query("select coalesce(max(batch), 0) + 1 from builds.progress").rows[0][0] }}
    {%- else -%}
        1
    {%- endif -%}
{% endmacro %}

{# The row of int_inputs at the last build; none if everything has to be done again. #}
{% macro inputs_of_last_build(inputs_now) %}
    {%- if execute and is_incremental() -%}
        {%- set found = run_query(
            "select"
            ~ _mark('images_read_until') ~ "," ~ _mark('annotations_read_until') ~ ","
            ~ _mark('results_read_until') ~ "," ~ _mark('orders_read_until') ~ ","
            ~ _mark('images_deleted_until') ~ "," ~ _mark('annotations_deleted_until') ~ ","
            ~ _mark('results_deleted_until') ~ "," ~ _mark('orders_deleted_until')
            ~ " from builds.progress as progress inner join " ~ inputs_now ~ " as inputs"
            ~ " on progress.inputs ->> 'digest_of_the_rest' = inputs.digest_of_the_rest"
            ~ " where progress.model = '" ~ this.name ~ "'"
        ) -%}
        {{ return(found.rows[0] if found.rows else none) }}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}

{# A model as the build before left it. Not a ref: the model itself comes after the changes. #}
{% macro built_before(model) %}
    {%- if execute -%}
        {{ return(adapter.get_relation(this.database, this.schema, model)) }}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}

{% macro drop_taken_in_changes() %}
    {%- if is_incremental() -%}
        {#- A model that the project no longer has must not hold the batches back. -#}
        with known as (

            delete from builds.progress where model not in ({{ _incremental_models() }})

        )

        delete from {{ this }}
        where
            batch <= (
                select min(batch) from builds.progress where model in ({{ _incremental_models() }})
            )
    {%- endif -%}
{% endmacro %}

{% macro note_changes_found() %}
    {%- if execute -%}
        insert into builds.progress (model, batch, code, inputs)
        select
            '{{ this.name }}',
            greatest(
                (select max(batch) from {{ this }}),
                (select max(batch) from builds.progress)
            ),
            '{{ var("code") }}',
            to_jsonb(inputs)
        from {{ ref('int_inputs') }} as inputs
        on conflict (model) do update set
            batch = excluded.batch, code = excluded.code, inputs = excluded.inputs, built_at = clock_timestamp()
    {%- endif -%}
{% endmacro %}

{% macro _last_batch(model) %}
    {%- set found = run_query("select batch from builds.progress where model = '" ~ model ~ "'").rows -%}
    {{ return(found[0][0] if found else none) }}
{% endmacro %}

{% macro _mark(column) %}
    {{- return(" coalesce(progress.inputs ->> '" ~ column ~ "', '-infinity') as " ~ column) -}}
{% endmacro %}

{% macro _incremental_parents() %}
    {%- set names = [] -%}
    {%- for node in graph.nodes.values() -%}
        {%- if node.unique_id in model.depends_on.nodes and node.config.materialized == 'incremental' -%}
            {%- do names.append("'" ~ node.name ~ "'") -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(names | join(', ')) }}
{% endmacro %}

{% macro _incremental_models() %}
    {%- set names = [] -%}
    {%- for node in graph.nodes.values() if node.config.materialized == 'incremental' -%}
        {%- do names.append("'" ~ node.name ~ "'") -%}
    {%- endfor -%}
    {{ return(names | join(', ')) }}
{% endmacro %}

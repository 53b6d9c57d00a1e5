{#-
Incremental models whose rows are a function of one parent row each keep the parent's version beside them. A
row is computed anew when its parent's version differs, and disappears with its parent. This needs no watermark:
a sync that commits late, a soft delete, a raw table that was loaded again and a changed definition are all
just "another version".
-#}

{#- A number that changes with the SQL of the model being built and of every model and seed above it. -#}
{% macro definition_number() -%}
    {%- set seen = [] -%}
    {%- if execute and model is defined and graph is defined and graph.nodes is defined -%}
        {%- set queue = [model.unique_id] -%}
        {%- for _ in range(1000) if queue -%}
            {%- set unique_id = queue.pop() -%}
            {%- set node = graph.nodes.get(unique_id) -%}
            {%- if node and unique_id not in seen -%}
                {%- do seen.append(unique_id) -%}
                {%- do queue.extend(node.depends_on.nodes or []) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set checksums = [var('definitions_revision') | string] -%}
    {%- for unique_id in seen | sort -%}
        {%- do checksums.append(graph.nodes[unique_id].checksum.checksum) -%}
    {%- endfor -%}
    ('x{{ local_md5(checksums | join(" "))[:16] }}'::bit(64)::bigint)
{%- endmacro %}

{#- Version of a raw row: what was landed, when it was landed, under this definition. -#}
{% macro raw_version(alias) -%}
    hashtextextended(encode({{ alias }}.payload_hash, 'hex'), hashint8extended({{ alias }}.sync_id, {{ definition_number() }}))
{%- endmacro %}

{#- Version of a row computed from one row of a parent model. With `in_company`, a change of the company's zone or
    currency, or of the shop's zone, is another version too. -#}
{% macro child_version(alias, in_company=false) -%}
    hashint8extended(
        {{ alias }}._version,
        {% if in_company -%}
        hashint8extended({{ definition_number() }}, (select context_number from {{ ref('int_company') }}))
        {%- else -%}
        {{ definition_number() }}
        {%- endif %}
    )
{%- endmacro %}

{#- The live rows of a raw table this model has not parsed in their present version. -#}
{% macro unparsed(stream, key) -%}
    select
        raw.id,
        raw.payload,
        raw.sync_id as _sync_id,
        {{ raw_version('raw') }} as _version
    from {{ stream }} as raw
    where
        raw.deleted_at is null
        {%- if is_incremental() %}
        and not exists (
            select 1 from {{ this }} as parsed
            where parsed.{{ key }} = raw.id and parsed._version = {{ raw_version('raw') }}
        )
        {%- endif %}
{%- endmacro %}

{#- For a pre-hook: forget rows whose raw row is gone, deleted or in another version. -#}
{% macro forget_unlike_raw(stream, key) -%}
    {%- if is_incremental() -%}
    delete from {{ this }} as parsed
    where not exists (
        select 1 from {{ stream }} as raw
        where raw.id = parsed.{{ key }} and raw.deleted_at is null and {{ raw_version('raw') }} = parsed._version
    )
    {%- endif -%}
{%- endmacro %}

{#- Condition: this model has no rows of the parent in its present version. -#}
{% macro not_yet_built(alias, key, in_company=false) -%}
    {%- if is_incremental() -%}
    not exists (
        select 1 from {{ this }} as built
        where built.{{ key }} = {{ alias }}.{{ key }} and built._version = {{ child_version(alias, in_company) }}
    )
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{#- For a pre-hook: forget rows whose parent is gone or in another version. -#}
{% macro forget_unlike_parent(parent, key, in_company=false) -%}
    {%- if is_incremental() -%}
    delete from {{ this }} as built
    where not exists (
        select 1 from {{ parent }} as parent
        where parent.{{ key }} = built.{{ key }} and {{ child_version('parent', in_company) }} = built._version
    )
    {%- endif -%}
{%- endmacro %}

{#- For a post-hook: let the planner know a table that was just made. -#}
{% macro analyze_when_new() -%}
    {%- if not is_incremental() -%} analyze {{ this }} {%- endif -%}
{%- endmacro %}

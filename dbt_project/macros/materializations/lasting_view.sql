{#-
A view that is made again only when its SQL has changed. The text's digest is kept as the view's comment; an equal
one leaves the view alone, so that a build takes no lock on it, readers never find it missing, and views that stand
on it are not dropped with it.
-#}
{% materialization lasting_view, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set digest = local_md5(sql) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}

    {%- set standing = none -%}
    {%- if existing is not none and existing.is_view -%}
        {%- set standing = run_query(
            "select obj_description(to_regclass('" ~ target_relation ~ "'), 'pg_class')"
        ).columns[0].values()[0] -%}
    {%- endif -%}

    {%- if standing == digest and not should_full_refresh() -%}
        {%- call noop_statement('main', 'UNCHANGED') -%}
            select 1 as unchanged
        {%- endcall -%}
    {%- else -%}
        {{ run_hooks(pre_hooks, inside_transaction=True) }}
        {%- if existing is not none -%}
            {%- do adapter.drop_relation(existing) -%}
        {%- endif -%}
        {%- call statement('main') -%}
            {{ get_create_view_as_sql(target_relation, sql) }}
            comment on view {{ target_relation }} is '{{ digest }}';
        {%- endcall -%}
        {%- do apply_grants(target_relation, config.get('grants'), should_revoke=True) -%}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {%- do adapter.commit() -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- How much of a component of a score is attained: 0 at the input that is poor, 1 at the one that is good, in between in
    proportion. Either may be the larger. `weights` is the row of the component's weights in force; without one, and for
    an unknown input, it is unknown. -#}
{% macro attainment(input, weights) -%}
    case
        -- greatest() and least() pass over a NULL; an unknown input must stay unknown.
        when {{ input }} is not null and {{ weights }}.component is not null
            then round(
                least(greatest(({{ input }} - {{ weights }}.poor) / ({{ weights }}.good - {{ weights }}.poor), 0), 1), 6
            )
    end
{%- endmacro %}

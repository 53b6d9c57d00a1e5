{{ config(
    unique_key='spell_id',
    scope='spell_id',
    changed_by={'int_deal_stages': 'spell_id'},
    indexes=[{'columns': ['spell_id'], 'unique': true}, {'columns': ['left_day']}],
) }}

select
    spells.spell_id,
    spells.deal_id,
    spells.stage,
    spells.position,
    spells.is_closed,
    spells.entered_at,
    spells.left_at,
    spells.entered_day,
    spells.left_day,
    spells.days_in_stage,
    -- Told of the last time a deal left an open stage: taken further, lost, or (NULL) taken back.
    case
        when spells.is_closed or not spells.is_last_visit or spells.left_at is null then null
        when spells.next_position = 9 then false
        when spells.next_position > spells.position then true
    end as is_converted
from {{ ref('int_deal_stages') }} as spells
where {{ in_scope('spells.spell_id') }}

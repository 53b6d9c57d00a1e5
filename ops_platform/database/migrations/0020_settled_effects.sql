-- What a person says about an effect that may have been done and cannot be looked up.

create table ops.playbook_settlements (
    id bigint generated always as identity primary key,
    effect_key text not null references ops.playbook_effects (key),
    unclear_since timestamptz not null,
    said text not null check (said in ('done', 'not_done')),
    gave_up boolean not null check (not gave_up or said = 'not_done'),
    result jsonb,
    person text not null check (length(person) between 1 and 200),
    via text not null check (length(via) between 1 and 200),
    reason text not null check (length(btrim(reason)) between 1 and 2000),
    at timestamptz not null,
    unique (effect_key, unclear_since)
);
create trigger only_added before update or delete on ops.playbook_settlements
    for each row execute function ops.refuse_change();
create trigger not_emptied before truncate on ops.playbook_settlements
    for each statement execute function ops.refuse_change();
comment on table ops.playbook_settlements is 'Who said, why and when, that an unclear effect was done or was not: only ever added to.';

-- Whatever the code does: what is unclear stays so until a person has said which.
create function ops.playbook_effect_is_settled_by_a_person() returns trigger language plpgsql as $$
begin
    if old.state = 'unclear' and new.state <> 'unclear' and not exists (
        select from ops.playbook_settlements as said
        where said.effect_key = old.key and said.unclear_since = old.settled_at and said.said = new.state
    ) then
        raise exception 'effect % is unclear: only a person settles it', old.key
            using errcode = 'integrity_constraint_violation';
    end if;
    if old.state = 'unclear' and new.state = 'unclear' and new.settled_at is distinct from old.settled_at then
        raise exception 'effect % has been unclear since %: that stays', old.key, old.settled_at
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger settled_by_a_person before update on ops.playbook_effects
    for each row execute function ops.playbook_effect_is_settled_by_a_person();

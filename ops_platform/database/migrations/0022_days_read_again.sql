-- Days whose tie-out differed are read once more before they are called unequal; persons go out of Klaviyo's quarantine.

alter table ops.sync_runs add column reread_days date[] not null default '{}';
comment on column ops.sync_runs.reread_days is 'Days whose tie-out differed and which were therefore read again, whole.';
alter table ops.sync_runs add column mended_days date[] not null default '{}';
comment on column ops.sync_runs.mended_days is 'Those of reread_days that tie out since.';

alter table ops.tie_outs add column reread_at timestamptz;
comment on column ops.tie_outs.reread_at is 'When a day that differs was last read again; null for one that ties out.';

-- What was set aside of Klaviyo's events and account before it was cut down to what is needed held people's names and
-- addresses. Such a payload cannot be tried again anyway: it lacks what only Klaviyo knows of it. That the record was
-- refused, and why, stays.
create function pg_temp.holds_only(raw text, top text[], inside text[]) returns boolean language plpgsql as $$
declare
    said jsonb;
begin
    said := raw::jsonb;
    if jsonb_typeof(said) <> 'object' then
        return false;
    end if;
    return not exists (select from jsonb_object_keys(said) as key where key <> all (top))
        and case jsonb_typeof(said -> 'attributes')
            when 'object' then
                not exists (select from jsonb_object_keys(said -> 'attributes') as key where key <> all (inside))
            else said -> 'attributes' is null or jsonb_typeof(said -> 'attributes') = 'null'
        end;
exception
    when others then
        return false;
end
$$;
update ops.quarantine set
    raw = '',
    detail = left('the payload was deleted, it held personal data; ' || detail, 2000)
where vendor = 'klaviyo' and raw <> '' and not case stream
    when 'events' then pg_temp.holds_only(
        raw, array['id', 'attributes', 'metrics', 'metric', 'attributions'],
        array['datetime', 'uuid', 'event_properties']
    )
    when 'accounts' then pg_temp.holds_only(
        raw, array['id', 'attributes'],
        array['timezone', 'preferred_currency', 'locale', 'industry', 'test_account', 'contact_information']
    ) and raw !~ 'default_sender|street_address'
    else true
end;

{#- Amazon's days are those of the store, neither UTC nor the company's. The same table as resources/amazon/marketplaces.py. -#}

{#- The IANA zone of a store by its marketplace id; NULL for one that is not known. -#}
{% macro amazon_zone(marketplace_id) -%}
    case
        when {{ marketplace_id }} in ('ATVPDKIKX0DER', 'A2EUQ1WTGCTBG2', 'A1AM78C64UM0Y8') then 'America/Los_Angeles'
        when {{ marketplace_id }} in ('A2Q3Y263D00KWC') then 'America/Sao_Paulo'
        when {{ marketplace_id }} in ('A1F83G8C2ARO7P') then 'Europe/London'
        when {{ marketplace_id }} in ('A1PA6795UKMFR9') then 'Europe/Berlin'
        when {{ marketplace_id }} in ('A13V1IB3VIYZZH') then 'Europe/Paris'
        when {{ marketplace_id }} in ('APJ6JRA9NG5V4') then 'Europe/Rome'
        when {{ marketplace_id }} in ('A1RKKUPIHCS9HS') then 'Europe/Madrid'
        when {{ marketplace_id }} in ('A1805IZSGTT6HS') then 'Europe/Amsterdam'
        when {{ marketplace_id }} in ('AMEN7PMS3EDWL') then 'Europe/Brussels'
        when {{ marketplace_id }} in ('A28R8C7NBKEWEA') then 'Europe/Dublin'
        when {{ marketplace_id }} in ('A2NODRKZP88ZB9') then 'Europe/Stockholm'
        when {{ marketplace_id }} in ('A1C3SOZRARQ6R3') then 'Europe/Warsaw'
        when {{ marketplace_id }} in ('A33AVAJ2PDY3EV') then 'Europe/Istanbul'
        when {{ marketplace_id }} in ('AE08WJ6YKNBMC') then 'Africa/Johannesburg'
        when {{ marketplace_id }} in ('ARBP9OOSHTCHU') then 'Africa/Cairo'
        when {{ marketplace_id }} in ('A17E79C6D8DWNP') then 'Asia/Riyadh'
        when {{ marketplace_id }} in ('A2VIGQ35RCS4UG') then 'Asia/Dubai'
        when {{ marketplace_id }} in ('A21TJRUUN4KGV') then 'Asia/Kolkata'
        when {{ marketplace_id }} in ('A1VC38T7YXB528') then 'Asia/Tokyo'
        when {{ marketplace_id }} in ('A39IBJ37TRP1C6') then 'Australia/Sydney'
        when {{ marketplace_id }} in ('A19VAU5U5O7RUS') then 'Asia/Singapore'
    end
{%- endmacro %}

{#- The sum of one kind of proceeds of an item; NULL while Amazon does not know the proceeds. -#}
{% macro amazon_proceeds(proceeds, kind) -%}
    case
        when {{ proceeds }} -> 'breakdowns' is not null then coalesce((
            select sum((part -> 'subtotal' ->> 'amount')::numeric)
            from jsonb_array_elements({{ proceeds }} -> 'breakdowns') as part
            where part ->> 'type' = '{{ kind }}'
        ), 0)
    end
{%- endmacro %}

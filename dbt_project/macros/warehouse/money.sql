{#- Money is numeric from the vendor's text to the metric; nothing passes through a float. -#}

{#- The amount of a Shopify MoneyBag, in the shop's currency. -#}
{% macro shop_money(bag) -%}
    ({{ bag }} -> 'shopMoney' ->> 'amount')::numeric
{%- endmacro %}

{% macro shop_currency_of(bag) -%}
    {{ bag }} -> 'shopMoney' ->> 'currencyCode'
{%- endmacro %}

{#- A sum that is NULL (unknown) as soon as one of its amounts is: an amount that cannot be converted is never
    left out in silence. Zero rows sum to zero. -#}
{% macro complete_sum(amount) -%}
    case when count(*) = count({{ amount }}) then coalesce(sum({{ amount }}), 0) end
{%- endmacro %}

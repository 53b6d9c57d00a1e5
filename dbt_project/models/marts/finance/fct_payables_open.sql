{{ config(
    unique_key='transaction_id',
    indexes=[{'columns': ['transaction_id'], 'unique': true}],
) }}

{{ open_bills('payable', party='supplier_id') }}

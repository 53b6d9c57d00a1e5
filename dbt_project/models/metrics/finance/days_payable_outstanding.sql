{{ days_outstanding('payable') }}

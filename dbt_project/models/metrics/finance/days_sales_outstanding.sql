{{ days_outstanding('receivable') }}

"""Which properties each kind of record has in the sandbox's account, and of what type.

Belongs here: names, types, what comes back unasked. Does not belong here: values (`world.py`).
"""

from __future__ import annotations

ACTIVITIES = ("emails", "calls")
SURVEYS = "feedback_submissions"
KINDS = ("contacts", "companies", "deals", "tickets", *ACTIVITIES, SURVEYS)
# Their day of creation is kept under HubSpot's own name alone.
WITHOUT_CREATEDATE = (*ACTIVITIES, SURVEYS)
# The vendor's numbers of the kinds, which may stand in paths as well.
TYPE_IDS = {
    "0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-5": "tickets", "0-19": SURVEYS, "0-48": "calls",
    "0-49": "emails",
}  # fmt: skip
MODIFIED = {
    "contacts": "lastmodifieddate",
    "companies": "hs_lastmodifieddate",
    "deals": "hs_lastmodifieddate",
    "tickets": "hs_lastmodifieddate",
    "emails": "hs_lastmodifieddate",
    "calls": "hs_lastmodifieddate",
    SURVEYS: "hs_lastmodifieddate",
}
CREATED = {kind: "hs_createdate" if kind in WITHOUT_CREATEDATE else "createdate" for kind in KINDS}
_EVERYWHERE = {
    "hs_object_id": "number",
    "hs_createdate": "datetime",
    "hs_merged_object_ids": "enumeration",
    "hubspot_owner_id": "enumeration",
}
_OF_RECORDS = {"createdate": "datetime", "notes_last_contacted": "datetime", "num_contacted_notes": "number"}
_OWN = {
    "contacts": {
        "firstname": "string", "lastname": "string", "email": "string", "phone": "string", "jobtitle": "string",
        "company": "string", "country": "string", "lifecyclestage": "enumeration", "hs_lead_status": "enumeration",
        "hs_email_domain": "string", "hs_analytics_source": "enumeration", "associatedcompanyid": "number",
        "num_associated_deals": "number", "hs_last_sales_activity_timestamp": "datetime",
        "lastmodifieddate": "datetime", "hs_lastmodifieddate": "datetime",
    },
    "companies": {
        "name": "string", "domain": "string", "country": "string", "industry": "enumeration",
        "lifecyclestage": "enumeration", "erp_customer_id": "string", "numberofemployees": "number",
        "annualrevenue": "number", "hs_parent_company_id": "number", "hs_lastmodifieddate": "datetime",
    },
    "deals": {
        "dealname": "string", "amount": "number", "dealstage": "enumeration", "pipeline": "enumeration",
        "closedate": "datetime", "dealtype": "enumeration", "deal_currency_code": "enumeration",
        "amount_in_home_currency": "number", "hs_is_closed": "bool", "hs_is_closed_won": "bool",
        "hs_deal_stage_probability": "number", "closed_lost_reason": "string", "closed_won_reason": "string",
        "hs_priority": "enumeration", "erp_invoice_number": "string", "num_associated_contacts": "number",
        "hs_next_step": "string", "hs_manual_forecast_category": "enumeration",
        "hs_last_sales_activity_timestamp": "datetime", "hs_lastmodifieddate": "datetime",
    },
    "tickets": {
        "subject": "string", "content": "string", "hs_pipeline": "enumeration", "hs_pipeline_stage": "enumeration",
        "hs_ticket_priority": "enumeration", "hs_ticket_category": "enumeration", "source_type": "enumeration",
        "closed_date": "datetime", "first_agent_reply_date": "datetime", "hs_resolution": "enumeration",
        "time_to_close": "number", "time_to_first_agent_reply": "number", "shop_order_name": "string",
        "hs_lastmodifieddate": "datetime",
    },
    "emails": {
        "hs_timestamp": "datetime", "hs_email_direction": "enumeration", "hs_email_status": "enumeration",
        "hs_email_subject": "string", "hs_email_text": "string", "hs_email_from_email": "string",
        "hs_email_to_email": "string", "hs_email_thread_id": "string", "hs_lastmodifieddate": "datetime",
    },
    "calls": {
        "hs_timestamp": "datetime", "hs_call_direction": "enumeration", "hs_call_status": "enumeration",
        "hs_call_disposition": "enumeration", "hs_call_duration": "number", "hs_call_title": "string",
        "hs_call_body": "string", "hs_call_to_number": "string", "hs_lastmodifieddate": "datetime",
    },
    SURVEYS: {
        "hs_survey_type": "enumeration", "hs_survey_id": "number", "hs_survey_name": "string",
        "hs_survey_channel": "enumeration", "hs_value": "number", "hs_response_group": "enumeration",
        "hs_submission_timestamp": "datetime", "hs_submission_name": "string", "hs_content": "string",
        "hs_contact_id": "number", "hs_contact_email_rollup": "string", "hs_lastmodifieddate": "datetime",
    },
}  # fmt: skip
PROPERTIES: dict[str, dict[str, str]] = {
    kind: {**_EVERYWHERE, **({} if kind in WITHOUT_CREATEDATE else _OF_RECORDS), **own} for kind, own in _OWN.items()
}
# What an e-mail says and to whom is kept from an app without the scope for it, in every answer.
REDACTED = frozenset(name for name in _OWN["emails"] if name.startswith("hs_email_"))
# What comes back when nothing is asked for. The id and the two times come in any case.
UNASKED = {
    "contacts": ("firstname", "lastname", "email"),
    "companies": ("name", "domain"),
    "deals": ("dealname", "amount", "dealstage", "pipeline", "closedate"),
    "tickets": ("subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "hs_ticket_category"),
    "emails": (),
    "calls": (),
    SURVEYS: (),
}
STAGE = {"deals": "dealstage", "tickets": "hs_pipeline_stage"}
CUSTOM = frozenset({"erp_customer_id", "erp_invoice_number", "shop_order_name"})

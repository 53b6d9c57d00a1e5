"""What is read from Klaviyo: the streams, which metrics of the account they read, and how far back.

Belongs here: declarations. Does not belong here: how they are read (`source.py`).
"""

from __future__ import annotations

from datetime import timedelta

from ops_platform.ingestion.contract import Stream

VENDOR = "klaviyo"

# The shop's integration in Klaviyo: order metrics of the same name may exist from several.
ORDER_INTEGRATION = "Shopify"
PLACED_ORDER = "Placed Order"
# Events that are read one by one; everything else is read as totals per day.
EVENT_METRICS = (PLACED_ORDER, "Refunded Order", "Cancelled Order")
# Klaviyo renamed some of its own metrics when it added channels: an account has the one or the other.
AGGREGATE_METRICS = (
    *EVENT_METRICS, "Received Email", "Opened Email", "Clicked Email", "Bounced Email", "Marked Email as Spam",
    "Unsubscribed", "Unsubscribed from Email Marketing", "Subscribed to Email Marketing", "Subscribed to List",
    "Unsubscribed from List", "Received SMS", "Clicked SMS", "Subscribed to SMS Marketing",
    "Unsubscribed from SMS Marketing",
)  # fmt: skip
CHANNELS = ("email", "sms", "mobile_push")
# An account may have no push at all, and the endpoint refuse the word.
OPTIONAL_CHANNELS = frozenset({"mobile_push"})

STATISTICS = (
    "recipients", "delivered", "bounced", "opens", "opens_unique", "clicks", "clicks_unique", "unsubscribe_uniques",
    "spam_complaints", "conversions", "conversion_uniques", "conversion_value",
)  # fmt: skip

# An event may come days after it happened; back-dated ones within this time are found by asking again.
EVENT_LOOK_BACK = timedelta(days=7)
AUDIENCE_LOOK_BACK = timedelta(days=1)
AGGREGATE_LOOK_BACK = timedelta(days=8)
AGGREGATE_HISTORY_DAYS = 730
LONGEST_RANGE_DAYS = 364

# A report is read at most so often, whatever syncs in between; its first reading goes so far back.
REPORT_EVERY = timedelta(hours=6)
CAMPAIGN_HISTORY_DAYS = 2 * LONGEST_RANGE_DAYS
# Conversions are counted on the day of sending for as long as the attribution window is (5 days by default).
CAMPAIGN_RELOAD_DAYS = 30
FLOW_RELOAD_DAYS = 10
FLOW_HISTORY_MONTHS = 24

STREAMS = {
    stream.name: stream
    for stream in (
        Stream(
            VENDOR, "accounts", "The account: its zone and currency.", full_refresh=True,
            no_tie_out="a key sees one account, and there is nothing to count",
        ),
        Stream(
            VENDOR, "metrics", "Kinds of event the account knows, with their integration.", full_refresh=True,
            ties_out=True,
        ),
        Stream(VENDOR, "lists", "Lists people join.", look_back=AUDIENCE_LOOK_BACK, ties_out=True),
        Stream(VENDOR, "segments", "Segments computed of people.", look_back=AUDIENCE_LOOK_BACK, ties_out=True),
        Stream(
            VENDOR, "campaigns", "E-mail, text and push campaigns with their messages, archived ones too.",
            look_back=AUDIENCE_LOOK_BACK, ties_out=True,
        ),
        Stream(
            VENDOR, "flows", "Automated series, archived ones too.", look_back=AUDIENCE_LOOK_BACK, ties_out=True
        ),
        Stream(
            VENDOR, "events", "Orders placed, refunded and cancelled as Klaviyo heard of them, with the message they"
            " are attributed to; nobody's profile.", look_back=EVENT_LOOK_BACK, ties_out=True,
        ),
        Stream(
            VENDOR, "metric_aggregates", "What happened per metric and day of the account: count, people, value.",
            look_back=AGGREGATE_LOOK_BACK, grain="one row per metric and day of the account",
            no_tie_out="these are Klaviyo's own totals; events are tied out against them",
        ),
        Stream(
            VENDOR, "campaign_values", "Performance of each campaign's message since it was sent.",
            look_back=timedelta(days=CAMPAIGN_RELOAD_DAYS), grain="one row per campaign message",
            no_tie_out="a report has rows for messages with activity only, and no count of its own",
        ),
        Stream(
            VENDOR, "flow_values", "Performance of each flow's message per calendar month.",
            look_back=timedelta(days=FLOW_RELOAD_DAYS), grain="one row per flow message and month",
            no_tie_out="a report has rows for messages with activity only, and no count of its own",
        ),
    )
}  # fmt: skip

"""What a report's lists may rest on: are their sources fresh, do they tie out, how old are their tables.

Belongs here: from the platform's receipts to a `Standing` for each list. Does not belong here: reading the lists
(`ops_platform.evidence.briefing_lists`).

A list is as fresh as its stalest source, and no fresher than the table it is read from: a source may have been synced
since the table was built from it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.sources import TIE_OUT_DAYS, WHOLE_ENTITY, StreamState, stream_states
from ops_platform.evidence.briefing_lists import Standing
from ops_platform.evidence.model import TieOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.fleet.reports import Listing, Report

_TIES = """
select vendor || '.' || stream as name, bool_or(status = 'mismatched') as mismatched,
    bool_and(status = 'matched') as matched
from ops.tie_outs where day >= %(since)s or day = %(whole)s group by 1
"""
_PUBLISHED = """
select published_models.relation, publications.published_at
from ops.published_models join ops.publications on publications.id = published_models.publish_id
where published_models.relation = any(%s)
"""


def standings(
    connection: psycopg.Connection[Any],
    fleet: Fleet,
    report: Report,
    now: datetime,
    unproven: Mapping[str, datetime | None],
) -> dict[str, Standing]:
    """By list, what may be concluded of it as of `now`. `unproven` has, by view, since when it is not proven."""
    states = stream_states(connection, fleet)
    since = {"since": (now - timedelta(days=TIE_OUT_DAYS)).date(), "whole": WHOLE_ENTITY}
    ties: dict[str, TieOut] = {
        name: "mismatched" if mismatched else "matched" if matched else "unknown"
        for name, mismatched, matched in connection.execute(_TIES.encode(), since)
    }
    published = dict(connection.execute(_PUBLISHED.encode(), (report.views(),)).fetchall())
    return {
        listing.name: _standing(listing, states, ties, published.get(listing.view), unproven.get(listing.view), now)
        for listing in report.listings()
    }


def _standing(
    listing: Listing,
    states: Mapping[str, StreamState],
    ties: Mapping[str, TieOut],
    published_at: datetime | None,
    unproven_since: datetime | None,
    now: datetime,
) -> Standing:
    wanted = [states.get(name) for name in listing.sources]
    either = [state for name in listing.any_source if (state := states.get(name)) is not None and state.usable(now)]
    usable = all(state is not None and state.usable(now) for state in wanted)
    usable = usable and (bool(either) or not listing.any_source)
    used = [state for state in (*wanted, *either) if state is not None]
    moments = [state.fresh_to for state in used if state.fresh_to is not None]
    moments += [published_at] if published_at is not None else []
    if unproven_since is not None:
        return Standing(False, min([*moments, unproven_since]))
    found = {ties.get(state.name, "unknown") for state in used}
    tie_out: TieOut = "mismatched" if "mismatched" in found else "matched" if found == {"matched"} else "unknown"
    return Standing(usable, min(moments, default=None), tie_out)

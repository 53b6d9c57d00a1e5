"""What of a narrative is no metric of its period: incidents, actions, the tier below, divisions.

Belongs here: turning each into facts and rows. Does not belong here: reading them (`evidence.narrative_context`,
`ops_platform.action_items`), the order in a document (`documents.narrative`).
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.model import Bundle, Comparison, Fact, Row, Source
from ops_platform.evidence.quoting import minimise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ops_platform.action_items.store import ActionItem
    from ops_platform.evidence.model import CompanyProfile
    from ops_platform.evidence.narrative_context import Incident, NarrativeContext, Told
    from ops_platform.evidence.spans import Span

LABEL_LENGTH, OWNER_LENGTH = 80, 40
INCIDENTS_SHOWN, RECURRING_SHOWN, DONE_SHOWN = 5, 4, 5
OFTEN = 2  # a concern of so many narratives of the tier below recurs


class Ledger:
    """Collects facts, each once, and lists in the order in which the narrative uses them."""

    def __init__(self, span: Span, as_of: datetime, company: CompanyProfile) -> None:
        self.span = span
        self.as_of = as_of
        self.company = company
        self.lists: dict[str, tuple[Row, ...]] = {}
        self._facts: dict[str, Fact] = {}

    def add(self, fact: Fact) -> str:
        """Keep the fact; returns its id."""
        self._facts.setdefault(fact.id, fact)
        return fact.id

    def count(self, fact_id: str, label: str, number: int, source: Source, **more: Any) -> str:
        """A count as a fact; returns its id."""
        more.setdefault("period", self.span.period)
        return self.add(Fact(id=fact_id, label=label, unit="count", value=Decimal(number), source=source, **more))

    def day(self, fact_id: str, label: str, day: date, source: Source) -> str:
        """A day as a fact; returns its id."""
        return self.add(Fact(id=fact_id, label=label, unit="date", day=day, source=source))

    def bundle(self, kind: str, notes: Sequence[str]) -> Bundle:
        """The evidence as collected so far."""
        return Bundle(
            kind=kind,
            period=self.span.period,
            as_of=self.as_of,
            company=self.company,
            facts=tuple(self._facts.values()),
            lists=self.lists,
            notes=tuple(notes),
        )

    # Incidents ------------------------------------------------------------------------------------------------

    def incidents(self, incidents: Iterable[Incident]) -> None:
        """Incidents that began in the span or were not over by its end; the critical and new first."""
        relevant = [each for each in incidents if each.opened or not each.over]
        ordered = sorted(relevant, key=lambda each: (each.severity != "critical", not each.opened, each.number))
        rows = []
        for number, each in enumerate(ordered[:INCIDENTS_SHOWN], start=1):
            source = Source("ops.alerts", "select since from ops.alerts where id = %(id)s", (("id", str(each.number)),))
            texts = {
                "label": minimise(each.label, LABEL_LENGTH), "subject": each.subject,
                "owner": self._owner(each.division, each.owner), "state": "over" if each.over else "open",
                "new": "yes" if each.opened else "no",
            }  # fmt: skip
            since = self.day(f"incident_{number}_since", "Since", each.since, source)
            rows.append(Row(texts, {"since": since}, each.severity))
        self.lists["incidents"] = tuple(rows)
        standing = sum(not each.over for each in relevant)
        source = Source("ops.alerts", "incidents of level alert or critical, not resolved at the end of the period")
        self.count("incidents_open", "Open alerts", standing, source, direction="down_is_good")

    def _owner(self, division: str | None, bot: str | None) -> str:
        label = next((each.label for each in self.company.divisions if each.id == division), None)
        return label or (bot or "coordinator").replace("_", " ").capitalize()

    # Actions --------------------------------------------------------------------------------------------------

    def actions(self, open_items: Sequence[ActionItem], done: Sequence[ActionItem], most: int) -> None:
        """What is to be done, the first due first, and what was done in the span."""
        today = self.span.end + timedelta(days=1)
        rows = []
        for number, item in enumerate(open_items[:most], start=1):
            source = _item_source(item)
            facts = {
                "number": self._number(f"action_{number}_number", item),
                "due": self.day(f"action_{number}_due", "Due", item.due_on, source),
            }
            carried = item.opened_for < self.span.end
            if carried:
                facts["opened"] = self.day(f"action_{number}_opened", "Open since", item.opened_for, source)
            texts = {
                "what": item.what, "about": minimise(item.about, LABEL_LENGTH),
                "owner": minimise(item.owner, OWNER_LENGTH), "carried": "yes" if carried else "no",
                "cleared": "yes" if item.seen_for < self.span.start else "no",
            }  # fmt: skip
            rows.append(Row(texts, facts, "late" if item.due_on < today else "open"))
        self.lists["actions"] = tuple(rows)
        source = Source("ops.action_items", "select count(*) from ops.action_items where state = 'open'")
        self.count("actions_open", "Open actions", len(open_items), source)
        if len(open_items) > most:
            self.count("actions_hidden", "Further open actions", len(open_items) - most, source)
        settled = []
        for number, item in enumerate(done[:DONE_SHOWN], start=1):
            assert item.settled_on is not None
            facts = {
                "number": self._number(f"done_{number}_number", item),
                "on": self.day(f"done_{number}_on", "Settled on", item.settled_on, _item_source(item)),
            }
            texts = {
                "what": item.what, "about": minimise(item.about, LABEL_LENGTH),
                "by": minimise(item.settled_by or "", OWNER_LENGTH),
            }  # fmt: skip
            settled.append(Row(texts, facts, item.state))
        self.lists["done"] = tuple(settled)

    def _number(self, fact_id: str, item: ActionItem) -> str:
        source = _item_source(item)
        return self.add(Fact(id=fact_id, label="Action", unit="text", text=f"#{item.id}", source=source))

    # The tier below -------------------------------------------------------------------------------------------

    def below(self, context: NarrativeContext, days: Mapping[date, Decimal | None]) -> None:
        """Each narrative of the tier below: its period, its net sales as published and as they are now, how many
        concerns it had. One that is missing is a row that says so."""
        told = {each.day: each for each in context.below}
        rows = []
        for number, first in enumerate(context.expected_below, start=1):
            name = f"part_{number}"
            each = told.get(first)
            if each is None:
                source = Source("ops.documents", "no narrative of this period is stored")
                rows.append(Row({}, {"day": self.day(f"{name}_day", "From", first, source)}, "missing"))
                continue
            source = Source(
                "ops.documents", "select evidence_digest from ops.documents where id = %(id)s",
                (("digest", each.bundle.digest), ("id", str(each.document_id))),
            )  # fmt: skip
            facts = {"day": self.day(f"{name}_day", "From", first, source)}
            sales = each.bundle.get("net_sales")
            restated = False
            if sales is not None and sales.value is not None:
                now = self._now(each, days)
                restated = now is not None and now != sales.value
                published = Comparison.between("published", "the figure published", now, sales.value)
                facts["sales"] = self.add(
                    Fact(
                        id=f"{name}_sales", label=sales.label, unit=sales.unit, currency=sales.currency,
                        value=now if restated else sales.value, period=sales.period, direction=sales.direction,
                        comparisons=(published,) if restated else (), tie_out=sales.tie_out, source=source,
                    )
                )  # fmt: skip
            concerns = len(each.bundle.rows("concerns"))
            facts["concerns"] = self.count(f"{name}_concerns", "Concerns", concerns, source, period=each.bundle.period)
            label = {"label": each.bundle.period.label, "document": str(each.document_id)}
            rows.append(Row(label, facts, "restated" if restated else "told"))
        self.lists["parts"] = tuple(rows)
        source = Source("ops.documents", "narratives of the tier below that ended within the period")
        self.count("parts_told", "Narratives", sum(row.mark != "missing" for row in rows), source)
        self.count("parts_expected", "Narratives expected", len(rows), source)

    def _now(self, each: Told, days: Mapping[date, Decimal | None]) -> Decimal | None:
        """Its net sales as the warehouse has them now; None where a day of it is not of this span or unknown."""
        period = each.bundle.period
        values = [days.get(period.start + timedelta(days=n)) for n in range((period.end - period.start).days + 1)]
        known = [value for value in values if value is not None]
        return sum(known, Decimal(0)) if len(known) == len(values) else None

    def recurring(self, context: NarrativeContext) -> None:
        """What was a concern again and again: of how many narratives of the tier below."""
        times: Counter[str] = Counter()
        labels: dict[str, tuple[str, str]] = {}
        for each in context.below:
            seen = set()
            for row in each.bundle.rows("concerns"):
                seen.add(row.texts["subject"])
                labels[row.texts["subject"]] = (row.texts["label"], "ours")
            for row in each.bundle.rows("incidents"):
                if row.texts.get("new") == "yes" or row.mark == "critical":
                    seen.add(row.texts["subject"])
                    labels.setdefault(row.texts["subject"], (row.texts["label"], "quoted"))
            times.update(seen)
        ordered = sorted(((n, s) for s, n in times.items() if n >= OFTEN), key=lambda each: (-each[0], each[1]))
        source = Source("ops.documents", "narratives of the tier below that name it among their concerns")
        rows = []
        for number, (count, subject) in enumerate(ordered[:RECURRING_SHOWN], start=1):
            label, whose = labels[subject]
            fact = self.count(f"recurring_{number}", "Narratives with this concern", count, source)
            rows.append(Row({"label": label, "whose": whose, "subject": subject}, {"times": fact}))
        self.lists["recurring"] = tuple(rows)


def _item_source(item: ActionItem) -> Source:
    query = "select what, about, owner, due_on, state from ops.action_items where id = %(id)s"
    return Source("ops.action_items", query, (("id", str(item.id)),))

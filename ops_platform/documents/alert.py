"""Alerts: from a bundle to a document. Pure: the same bundle and standing give the same bytes for ever.

Belongs here: order, labels and words of the first message, of what follows in its thread, of a storm and of a failed
source. Does not belong here: when something is said (`ops_platform.alerts.cycle`), formatting of numbers
(`documents.claims`), what a channel makes of a block (the renderers).

The first message answers what, how much in money, since when, which part, and where to look, on one telephone screen.
What follows in a thread is one or two lines. Drivers are parts of a change; no word says that one brought it about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ops_platform.documents.claims import claim, day_text, moment_text
from ops_platform.documents.finish import finished
from ops_platform.documents.model import (
    Actions,
    Block,
    Bullets,
    Button,
    Document,
    Footer,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quoted,
    RichText,
    State,
    StatusLine,
    StatusLines,
    Title,
    bold,
    joined,
    present,
    rich,
)

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from ops_platform.evidence.model import Bundle, Row

KIND = "alert"
DRIVERS_SHOWN = 3
MEMBERS_SHOWN = 4
NAMES_SHOWN = 5
LINES_SHOWN = 10
SIGNS = {"critical": "🔴", "alert": "🟠", "watch": "🟡"}
FIRST = frozenset({"opened", "moved"})
_LEADS = {
    "worsened": ("🔺", "Worse"),
    "widened": ("➕", "Now also"),
    "relapsed": ("🔁", "Out again"),
    "recovering": ("🔵", "Back inside"),
    "resolved": ("🟢", "Resolved"),
    "unseen": ("◌", "Closed, not known to be over"),
    "still": ("⏳", "Still so"),
    "unknown": ("◌", "Cannot be judged now"),
    "flapping": ("〰️", "Comes and goes"),
    "taken": ("👤", ""),
}
# What a press does, by the name its handler knows; the words of the buttons.
ACKNOWLEDGE, ASSIGN, SNOOZE, MUTE = "alert_acknowledge", "alert_assign", "alert_snooze", "alert_mute"
USEFUL, NOISE, OPEN = "alert_useful", "alert_noise", "alert_open"


@dataclass(frozen=True, slots=True)
class Standing:
    """What people did about an alert since its message was written, and whether it is over: shown in the message
    itself. `verdict` is "useful" or "noise". `edition` numbers the editions of the message, the first being 0."""

    acknowledged_by: str | None = None
    assignee: str | None = None
    snoozed_until: date | None = None
    muted_until: date | None = None
    verdict: str | None = None
    resolved_at: datetime | None = None
    edition: int = 0

    @property
    def over(self) -> bool:
        return self.resolved_at is not None


def compose_alert(bundle: Bundle, standing: Standing | None = None) -> Document:
    """The document of an alert's bundle (`ops_platform.alerts.evidence`); its first note says what happened.

    `standing` is what people did since, for the message's later editions. Raises `DataFailure` where the bundle lacks
    what the happening needs."""
    happening = bundle.notes[0] if bundle.notes else "opened"
    standing = standing or Standing()
    if happening in FIRST:
        blocks, summary = _first(bundle, happening, standing)
    elif happening in ("storm", "storm_update"):
        blocks, summary = _storm(bundle, happening)
    elif happening in ("blind", "sighted"):
        blocks, summary = _sight(bundle, happening)
    else:
        blocks, summary = _follow_up(bundle, happening, standing)
    return finished(KIND, bundle, blocks, summary, writer="rules")


# The first message ------------------------------------------------------------------------------------------


def _first(bundle: Bundle, happening: str, standing: Standing) -> tuple[list[Block], RichText]:
    incident, head = bundle.rows("incidents")[0], bundle.rows("subjects")[0]
    sign = "🟢" if standing.over else SIGNS[incident.mark]
    headline = _headline(bundle, head)
    blocks: list[Block] = [Title(rich(f"{sign} ", headline))]
    if head.texts.get("kind") != "metric" and "explanation" in head.texts:
        said = head.texts["explanation"]
        blocks.append(Paragraph(rich(Quoted(said[:1].upper() + said[1:]))))
    figures = [
        *_value(bundle, head), *_effect(bundle, head), _since(bundle, incident), *_drivers(bundle),
        *_members(bundle, bundle.rows("subjects")[1:]), *_held_back(bundle), *_owner(bundle, incident),
    ]  # fmt: skip
    blocks.append(KeyFigures(tuple(figures)))
    lines = _standing_lines(bundle, standing)
    if lines:
        blocks.append(StatusLines(lines))
    blocks += _buttons(bundle, incident, head, standing)
    blocks.append(Footer(_footer(bundle, incident, head, happening)))
    return blocks, rich(f"{sign} ", headline, *_in_short(bundle, head))


def _headline(bundle: Bundle, row: Row) -> RichText:
    """What is out of order, in words that its numbers bear out."""
    name, kind = _name(row), row.texts.get("kind")
    if kind == "metric":
        side = _side(bundle, row)
        return rich(name, f": {side} its expected range" if side else ": outside its expected range")
    if kind == "source":
        high, value = _number(bundle, row, "high"), _number(bundle, row, "value")
        stale = value is not None and high is not None and value > high
        return rich(name, " — data out of date" if stale else " — not syncing")
    if kind == "job":
        # What a whole layer has in common is freshness; a job of the fleet fails or does not run.
        return rich(name, " — out of date" if row.texts.get("dimension") == "layer" else " — failed or did not run")
    return name


def _name(row: Row) -> RichText:
    """The subject's label and, where it does not say so itself, which part. A number by which a system knows the part
    tells a reader nothing."""
    label = rich(Quoted(row.texts.get("label", "")))
    if "part" not in row.texts or row.texts.get("kind") == "tie_out" or row.texts["dimension"].endswith(" id"):
        return label
    if _plain_words(row.texts["part"]) in _plain_words(row.texts["label"]):
        return label
    return rich(label, f", {row.texts['dimension']} ", Quoted(row.texts["part"]))


def _plain_words(text: str) -> str:
    return text.replace("_", " ").casefold()


def _side(bundle: Bundle, row: Row) -> str:
    value = _number(bundle, row, "value")
    low, high = _number(bundle, row, "low"), _number(bundle, row, "high")
    middle = _number(bundle, row, "expected")
    if value is None:
        return ""
    if low is not None and value < low:
        return "below"
    if high is not None and value > high:
        return "above"
    # Without bounds the distance from what was expected decides; without that, nothing is said.
    if low is None and high is None and middle is not None and value != middle:
        return "below" if value < middle else "above"
    return ""


def _value(bundle: Bundle, row: Row) -> list[KeyFigure]:
    if row.texts.get("kind") == "job":
        return []  # its explanation says it; how many runs is no figure to read
    if "value" not in row.facts:
        return [KeyFigure("Value", rich("unknown"), icon="📍")]
    notes = [_expectation(bundle, row), rich("on ", _claim(bundle, row, "day"))]
    label = {"source": "Age of data", "tie_out": "Records apart"}.get(row.texts.get("kind", ""), "Value")
    return [KeyFigure(label, rich(claim(bundle, row.facts["value"], bold=True)), present(notes), "📍")]


def _expectation(bundle: Bundle, row: Row) -> RichText:
    """What the value was held against: a range, one end of it, or a single figure."""
    rule = row.texts.get("kind") in ("threshold", "source", "job")
    low, high = row.facts.get("low"), row.facts.get("high")
    if low and high:
        return rich("allowed " if rule else "expected ", claim(bundle, low), "–", claim(bundle, high))
    if high:
        return rich("limit " if rule else "expected at most ", claim(bundle, high))
    if low:
        return rich("limit " if rule else "expected at least ", claim(bundle, low))
    if "expected" in row.facts and row.texts.get("kind") != "tie_out":
        return rich("expected ", claim(bundle, row.facts["expected"]))
    return ()


def _effect(bundle: Bundle, row: Row) -> list[KeyFigure]:
    """How much in money; where no money is known, that is said beside the effect in the metric's own unit."""
    money, effect = row.facts.get("money"), row.facts.get("effect")
    if money is None and (effect is None or row.texts.get("kind") in ("source", "job", "tie_out")):
        return []
    notes: list[RichText] = []
    if money is None:
        assert effect is not None
        value = rich(claim(bundle, effect, bold=True))
        if bundle.fact(effect).unit != "money":
            notes.append(rich("no amount of money is known for it"))
    else:
        value = rich(claim(bundle, money, bold=True))
        if effect is not None and bundle.fact(effect).unit != "money":
            notes.append(rich(claim(bundle, effect)))
    against = "against its limit" if row.texts.get("kind") == "threshold" else "against expected"
    notes.append(rich(against, ", in our favour" if row.texts.get("adverse") == "no" else ""))
    return [KeyFigure("Effect", value, present(notes), "💰")]


def _since(bundle: Bundle, incident: Row) -> KeyFigure:
    lasted = rich(claim(bundle, incident.facts["lasted"]))
    return KeyFigure("Since", rich(_claim(bundle, incident, "since")), (lasted,), "🕒")


def _drivers(bundle: Bundle) -> list[KeyFigure]:
    parts = []
    for row in bundle.rows("drivers")[:DRIVERS_SHOWN]:
        share = rich(" (", claim(bundle, row.facts["share"]), ")") if "share" in row.facts else ()
        effect = rich(" ", claim(bundle, row.facts["effect"])) if "effect" in row.facts else ()
        parts.append(rich(Quoted(row.texts.get("label", "")), effect, share))
    if not parts:
        return []
    return [KeyFigure("Driver" if len(parts) == 1 else "Drivers", parts[0], tuple(parts[1:]), "🔎")]


def _members(bundle: Bundle, rows: tuple[Row, ...]) -> list[KeyFigure]:
    """What else is out of order with it, in the same breath instead of in messages of its own."""
    if not rows:
        return []
    parts = [_reading(bundle, row) for row in rows[:MEMBERS_SHOWN]]
    rest = len(rows) - MEMBERS_SHOWN
    if rest > 0:
        parts.append(rich(f"and {rest} more"))
    return [KeyFigure("Also", parts[0], tuple(parts[1:]), "🔗")]


def _reading(bundle: Bundle, row: Row) -> RichText:
    """A subject in a few words: its name, its value and the distance from what was expected."""
    value = rich(" ", claim(bundle, row.facts["value"])) if "value" in row.facts else rich(" unknown")
    effect = row.facts.get("money") or row.facts.get("effect")
    if row.texts.get("kind") == "job":
        return _name(row)
    if effect is None or row.texts.get("kind") == "source":
        return rich(_name(row), value)
    return rich(_name(row), value, " (", claim(bundle, effect), ")")


def _held_back(bundle: Bundle) -> list[KeyFigure]:
    names = bundle.rows("silenced")
    if not names:
        return []
    shown = [rich(Quoted(row.texts["label"])) for row in names[:NAMES_SHOWN]]
    counted = rich(claim(bundle, "all_silenced", bold=True), " held back until it is well")
    return [KeyFigure("Depends on it", counted, (joined(shown, ", ", len(names) - NAMES_SHOWN),), "🔇")]


def _owner(bundle: Bundle, incident: Row) -> list[KeyFigure]:
    labels = {division.id: division.label for division in bundle.company.divisions}
    division, owner = incident.texts.get("division"), incident.texts.get("owner")
    name = labels.get(division or "", division) or owner
    return [KeyFigure("For", rich(Quoted(name)), (), "👥")] if name else []


def _in_short(bundle: Bundle, row: Row) -> RichText:
    """What a notification adds to the headline: the value, and the effect in money where it is known."""
    if "value" not in row.facts or row.texts.get("kind") in ("source", "job"):
        return ()
    effect = row.facts.get("money") or row.facts.get("effect")
    tail = rich(", ", claim(bundle, effect)) if effect is not None and row.texts.get("kind") != "tie_out" else ()
    return rich(" — ", claim(bundle, row.facts["value"]), tail)


# What people did ---------------------------------------------------------------------------------------------


def _standing_lines(bundle: Bundle, standing: Standing) -> tuple[StatusLine, ...]:
    zone, as_of = ZoneInfo(bundle.company.timezone), bundle.as_of
    year = as_of.astimezone(zone).year
    lines: list[tuple[State, str, RichText]] = []
    if standing.resolved_at is not None:
        lines.append(("ok", "Resolved", rich(moment_text(standing.resolved_at, zone, as_of))))
    if standing.acknowledged_by:
        lines.append(("ok", "Acknowledged", rich("by ", Quoted(standing.acknowledged_by))))
    if standing.assignee:
        lines.append(("info", "Assigned", rich("to ", Quoted(standing.assignee))))
    if standing.snoozed_until is not None and not standing.over:
        lines.append(("info", "Snoozed", rich(f"until {day_text(standing.snoozed_until, year)}")))
    if standing.muted_until is not None:
        lines.append(("info", "Muted", rich(f"through {day_text(standing.muted_until, year)}")))
    if standing.verdict:
        lines.append(("info", "Judged", rich(standing.verdict)))
    return tuple(StatusLine(*line) for line in lines)


def _buttons(bundle: Bundle, incident: Row, head: Row, standing: Standing) -> list[Block]:
    number = incident.texts["id"]
    subject = f"alert:{number}:{standing.edition}"
    handle: list[Button] = []
    if not standing.over:
        if not standing.acknowledged_by:
            handle.append(Button(ACKNOWLEDGE, "Acknowledge", style="primary", command=f"ops alert ack {number}"))
        if not standing.assignee:
            handle.append(Button(ASSIGN, "Assign to me", command=f"ops alert assign {number} WHO"))
        handle.append(Button(SNOOZE, "Snooze until…", "date", command=f"ops alert snooze {number} DAY"))
        if head.texts.get("kind") in ("metric", "threshold"):
            label = head.texts.get("label", "it")
            ask = f"Watch {label} and say nothing about it, up to and including that day?"
            handle.append(Button(MUTE, "Mute through…", "date", ask=ask))
    blocks: list[Block] = [Actions(f"{subject}:handle", tuple(handle))] if handle else []
    return [*blocks, *_feedback(incident, subject)]


def _feedback(incident: Row, subject: str) -> list[Block]:
    """Useful or noise, and where to look. Both judgements stay open: people change their minds."""
    number = incident.texts["id"]
    judge = [
        Button(USEFUL, "👍 Useful", command=f"ops alert useful {number}"),
        Button(NOISE, "👎 Noise", command=f"ops alert noise {number}"),
    ]
    if "link" in incident.texts:
        judge.append(Button(OPEN, "Open", "link", url=incident.texts["link"]))
    return [Actions(f"{subject}:judge", tuple(judge))]


def _footer(bundle: Bundle, incident: Row, head: Row, happening: str) -> tuple[RichText, ...]:
    parts = [rich(f"Alert {incident.texts['id']}"), rich(f"level {incident.mark}")]
    fact = bundle.get(head.facts.get("value", ""))
    if fact is not None and fact.fresh_to is not None:
        parts.append(rich("data to ", claim(bundle, fact.id, "fresh_to")))
    if fact is not None and head.texts.get("kind") == "metric":
        words = {"matched": "tied out", "mismatched": "⚠ not tied out", "unknown": "tie-out unknown"}
        parts.append(rich(words[fact.tie_out]))
    if "previous" in incident.texts:
        parts.append(rich(f"before it: alert {incident.texts['previous']}"))
    if happening == "moved":
        parts.append(rich("grew too serious for the channel it began in"))
    if "flapping" in incident.texts:
        parts.append(rich("comes and goes"))
    parts.append(rich(f"ops alert show {incident.texts['id']}"))
    items = [joined(parts, " · ")]
    if head.texts.get("kind") == "metric" and "explanation" in head.texts:
        items.append(rich("How it was judged: ", Quoted(head.texts["explanation"])))
    return tuple(items)


# What follows in the thread -----------------------------------------------------------------------------------


def _follow_up(bundle: Bundle, happening: str, standing: Standing) -> tuple[list[Block], RichText]:
    incident = bundle.rows("incidents")[0]
    sign, words = _LEADS[happening]
    remark = next(iter(bundle.rows("remark")), None)
    if happening == "taken":
        said = remark.texts.get("note", "") if remark else ""
        actor = remark.texts.get("actor", "") if remark else ""
        by = rich(" — ", Quoted(actor)) if actor and actor not in said else ()
        line = rich(f"{sign} ", Quoted(said), by)
        return [Paragraph(line)], rich(line, " (", Quoted(incident.texts["label"]), ")")
    rows = bundle.rows("subjects")
    changed = [row for row in rows if row.texts.get("changed") == "yes"]
    about = changed if happening in ("widened", "worsened") and changed else list(rows[:1])
    lead = rich(f"{sign} ", bold(f"{words}:"), " ")
    if not about:
        # Nothing was looked at lately: the incident's own name has to do.
        line = rich(lead, Quoted(incident.texts["label"]))
    elif happening in ("unknown", "unseen"):
        line = rich(lead, _name(about[0]))
    else:
        line = rich(lead, _looked_at(bundle, about[0]))
    more: list[RichText] = [_looked_at(bundle, row) for row in about[1:MEMBERS_SHOWN]]
    blocks: list[Block] = [Paragraph(rich(line, _aside(bundle, happening, incident, remark)))]
    if more:
        blocks.append(Bullets(tuple(more)))
    if happening == "resolved":
        if standing.verdict:
            blocks.append(StatusLines((StatusLine("info", "Judged", rich(standing.verdict)),)))
        blocks += _feedback(incident, f"alert:{incident.texts['id']}:{standing.edition}")
    return blocks, line


def _looked_at(bundle: Bundle, row: Row) -> RichText:
    """`Net sales $8,120 on Thu 19 Nov, −$4,880 (expected $11,200–$14,800)`."""
    if row.texts.get("kind") == "job":
        explained = rich(": ", Quoted(row.texts["explanation"])) if "explanation" in row.texts else ()
        return rich(_name(row), explained)
    if "value" not in row.facts:
        return rich(_name(row), " unknown on ", _claim(bundle, row, "day"))
    text = rich(_name(row), " ", claim(bundle, row.facts["value"], bold=True), " on ", _claim(bundle, row, "day"))
    effect = row.facts.get("money") or row.facts.get("effect")
    out = row.texts.get("found") == "breached"
    if out and effect is not None and row.texts.get("kind") not in ("source", "tie_out"):
        text = rich(text, ", ", claim(bundle, effect))
    held = _expectation(bundle, row)
    return rich(text, " (", held, ")") if held else text


def _aside(bundle: Bundle, happening: str, incident: Row, remark: Row | None) -> RichText:
    """The half sentence after the line: what it means for the incident."""
    lasted, since = claim(bundle, incident.facts["lasted"]), _claim(bundle, incident, "since")
    note = rich(". ", Quoted(remark.texts["note"])) if remark and "note" in remark.texts else ()
    before = next((note.partition(":")[2] for note in bundle.notes if note.startswith("severity_before:")), "")
    if happening == "worsened" and before and before != incident.mark:
        return rich(f". Was {before}, is {incident.mark}.")
    if happening == "recovering":
        return rich(". Resolved once it has held.")
    if happening == "resolved":
        return rich(". It began on ", since, " and lasted ", lasted, ".", note)
    if happening == "still":
        return rich(". Open since ", since, ", ", lasted, ".", note)
    if happening in ("unknown", "unseen"):
        when = rich(" since ", _claim(bundle, incident, "unknown")) if "unknown" in incident.facts else ()
        return rich(when, "." if happening == "unseen" else ". It is not known to be over.", note)
    if happening == "flapping":
        return rich(". Nothing more is said until it has been quiet for longer than usual.")
    return note


# Many at once -------------------------------------------------------------------------------------------------


def _storm(bundle: Bundle, happening: str) -> tuple[list[Block], RichText]:
    incidents = bundle.rows("incidents")
    heads = {row.texts.get("key"): row for row in bundle.rows("subjects")}
    count = claim(bundle, "all_incidents")
    loudest = max((row.mark for row in incidents), key=list(reversed(SIGNS)).index, default="alert")
    if happening == "storm":
        headline = rich(f"{SIGNS[loudest]} ", count, " alerts at once")
    else:
        headline = rich("What became of ", count, " of these alerts")
    # The same order as on the machine's side, the loudest first: a telephone shows the first lines only.
    ordered = sorted(incidents, key=lambda row: -list(reversed(SIGNS)).index(row.mark))
    lines = []
    for row in ordered[:LINES_SHOWN]:
        head = heads.get(row.texts.get("head"))
        sign = "🟢" if row.texts["state"] == "resolved" else SIGNS[row.mark]
        name = _plain_name(head) if head is not None else row.texts["label"]
        lines.append(KeyFigure(name, *_told(bundle, row, head), sign))
    first: Block = Title(headline) if happening == "storm" else Paragraph(rich(headline, ":"))
    rest = bundle.fact("all_incidents").value
    hidden = int(rest) - len(lines) if rest is not None else 0
    small = rich("Told together, so that the channel stays readable; each is resolved and told by itself.")
    listed = rich(f"and {hidden} more · " if hidden > 0 else "", "ops alert list")
    footer = Footer((small, listed) if happening == "storm" else (listed,))
    return [first, KeyFigures(tuple(lines)), footer], headline


def _told(bundle: Bundle, incident: Row, head: Row | None) -> tuple[RichText, tuple[RichText, ...]]:
    """How an incident stands, and its number."""
    number = rich(f"alert {incident.texts['id']}")
    if incident.texts["state"] == "resolved":
        return rich("over"), (number,)
    if head is None or head.texts.get("kind") == "job" or "value" not in head.facts:
        return number, ()
    # Without an amount of money what it is held against says more than how far it is from there.
    effect = head.facts.get("money")
    against = rich(claim(bundle, effect)) if effect is not None else _expectation(bundle, head)
    if head.texts.get("kind") == "source":
        against = ()
    return rich(claim(bundle, head.facts["value"])), present((against, number))


def _sight(bundle: Bundle, happening: str) -> tuple[list[Block], RichText]:
    rows = bundle.rows("subjects")
    count = claim(bundle, "all_subjects")
    if happening == "blind":
        headline = rich("◌ Cannot be judged: ", count, " of what is watched")
        state: State = "unknown"
    else:
        headline = rich("🟢 Can be judged again: ", count)
        state = "ok"
    lines = []
    for row in rows[:LINES_SHOWN]:
        why = rich(Quoted(row.texts["explanation"])) if "explanation" in row.texts and happening == "blind" else ()
        lines.append(StatusLine(state, _plain_name(row), why))
    first: Block = Title(headline) if "first" in bundle.notes else Paragraph(headline)
    blocks: list[Block] = [first, StatusLines(tuple(lines))]
    if happening == "blind":
        blocks.append(Footer((rich("Nothing is concluded about them: neither well nor out of order."),)))
    return blocks, headline


# Small things -------------------------------------------------------------------------------------------------


def _plain_name(row: Row) -> str:
    """A status line's label is plain text, escaped by every renderer like any other."""
    return "".join(span.text for span in _name(row))


def _number(bundle: Bundle, row: Row, name: str) -> Decimal | None:
    fact = bundle.get(row.facts.get(name, ""))
    return fact.value if fact is not None else None


def _claim(bundle: Bundle, row: Row, name: str) -> RichText:
    return rich(claim(bundle, row.facts[name])) if name in row.facts else rich("an unknown day")

"""The words a claims check knows: which carry a number, a direction, a rank, a time, a subject.

Belongs here: English word lists and the small grammar of endings. Does not belong here: what follows from a word
(`writing.claims`). A word may be added here freely; the mutation suite tells when one is missing.

Lists hold lemmas as `lemma` gives them unless they are matched whole.
"""

from __future__ import annotations

import functools
import re

NUMBER_WORDS = re.compile(
    r"\b(?:zero|null|nan|infinity|nil|nought|none|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen"
    r"|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fourty|fifty|sixty|seventy|eighty|ninety"
    r"|hundreds?|thousands?|millions?|billions?|trillions?|mln|mio|bn|dozens?|couple|pairs?|both|single"
    r"|half|halves|halved|halving|halve|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?"
    r"|twelfths?|hundredths?|first|second|firstly|secondly|double[sd]?|doubling|triple[sd]?|tripling|treble[sd]?"
    r"|quadruple[sd]?|quintuple[sd]?|twice|thrice|once|\w*fold|several|few|many|numerous|countless|majority"
    r"|minority|plenty|handful|twentieth|eleventh|\w+teenth|\w+tieth)\b",
    re.IGNORECASE,
)
UNIT_WORDS = re.compile(
    r"\b(?:per ?cents?|percentages?|pct|pp|ppt|basis points?|bps|dollars?|cents?|pounds?|quid|pence|euros?|yen|yuan"
    r"|rupees?|usd|gbp|eur|jpy|cny|bucks|grand)\b",
    re.IGNORECASE,
)
DATE_WORDS = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"
    r"|\b(?:january|february|april|june|july|august|september|october|november|december|christmas|easter"
    r"|thanksgiving)\b",
    re.IGNORECASE,
)
# Capitalised, these are dates; in lower case most are ordinary words.
DATES_CAPITALISED = re.compile(
    r"\b(?:March|May|Mon|Tues?|Wed|Thur?s?|Fri|Sat|Sun|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b"
)
ROMAN = re.compile(r"\b[IVXLCDM]{2,}\b")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UP = _words(
    "up rose rise rising risen grew grow growing grown growth gain gained gaining increase increased increasing climb"
    " climbed climbing jump jumped jumping surge surged surging soar soared soaring advance advanced higher above"
    " ahead exceed exceeded exceeding beat beaten beating topped top outperform outperformed lift lifted lifting raise"
    " raised raising added add adding boost boosted boosting more greater over larger upward uptick upturn rocketed"
    " skyrocketed spike spiked spiking surpass surpassed accumulated expanded expand"
)
DOWN = _words(
    "down fell fall falling fallen drop dropped dropping decline declined declining decrease decreased decreasing"
    " lower lowered lowering below behind slip slipped slipping slid slide sliding sank sink sinking lost lose losing"
    " less fewer short under shrank shrink shrinking shrunk reduced reduce reducing reduction cut cutting dip dipped"
    " dipping plunge plunged plunging plummet plummeted tumble tumbled tumbling collapse collapsed crash crashed lagged"
    " lag lagging trail trailed trailing missed miss missing underperform underperformed downward downturn eased ease"
    " softened soften pulled dragged drag slump slumped slumping smaller contracted shed backward"
)
BETTER = _words(
    "better improved improve improving improvement stronger healthier solid robust strong encouraging pleasing"
)
WORSE = _words(
    "worse worsened worsen worsening deteriorated deteriorate deteriorating weaker weakened weak poor bad soft sluggish"
    " disappointing worrying concerning alarming"
)
FLAT = _words("flat unchanged steady stable static constant level")

# These weigh a change only when a direction follows: "well below", but "as well".
WEIGHING_ADVERBS = _words("well far much little touch fast")
# "Follow up" and "break down" are no directions.
PARTICLE_VERBS = _words("follow make made set catch sign back pick look speed end wrap break broken wind shut write")

SMALL = _words("slightly slight marginally marginal modestly modest little touch somewhat narrowly")
LARGE = _words(
    "sharply sharp significantly significant strongly steeply steep much far well considerably considerable"
    " substantially substantial heavily heavy big large major markedly notably greatly quickly fast"
)
# Directly before a figure these bend it: it stands exactly as it is, or not at all.
BENDING = _words("almost nearly about around roughly approximately some just only merely circa least most")
EXTREME = _words(
    "plunge plunged plunging plummet plummeted soar soared soaring skyrocketed rocketed collapse collapsed crash"
    " crashed surge surged surging tumble tumbled tumbling slump slumped massive massively huge hugely dramatic"
    " dramatically drastic drastically spike spiked extreme extremely vast vastly enormous enormously"
)
SUPERLATIVE = _words(
    "record best worst highest lowest biggest largest smallest greatest least most peak bottom strongest weakest"
    " fastest slowest oldest newest longest shortest earliest latest busiest quietest ever unprecedented historic"
    " alltime all-time maximum minimum max min exceptional unusual unusually typical typically normal-sized usual"
    " usually normal normally average outlier leading"
)
HIGHEST_WORDS = _words("record best highest biggest largest greatest most peak strongest maximum max")
LOWEST_WORDS = _words("record worst lowest smallest least bottom weakest minimum min")
TREND = _words(
    "accelerate accelerated accelerating acceleration decelerate decelerated decelerating deceleration momentum trend"
    " trending streak continue continued continues continuing again keep keeps keeping persist persisted persistent"
    " persisting recover recovered recovering recovery rebound rebounded rebounding still already consecutive straight"
    " row since always increasingly reverse reversed turnaround slowdown slowing slowed pace pacing run-rate"
)
# Of these, the ones that may name the evidence's own driver.
CAUSE_OF_DRIVER = _words("because due driven drive drives driving")
CAUSE = _words(
    "because due thanks caused cause causing driven drive drives driving owing attributed attributable explain"
    " explains explained reflecting reflects reflect resulting led thereby hence therefore"
    " consequently so"
)
FORECAST = _words(
    "tomorrow will would shall expect expected expects expecting forecast forecasts projected project projection"
    " predict predicted likely probably next soon upcoming outlook heading going gonna could might may"
)
REASSURING = _words(
    "calm quiet healthy fine okay ok good great excellent smooth smoothly track order-free clear"
    " everything all every each entirely fully completely perfect perfectly safe"
)
NEGATION = _words(
    "no not never nothing nobody neither nor cannot without hardly barely scarcely failed fails fail failing unless"
    " rather instead except excluding despite lack lacks lacking stopped denied untrue false opposite contrary"
    " unlike"
)
# A document tells; it neither advises nor orders, and never in anybody else's words.
ORDERS = _words(
    "please must should shall ought urgent urgently immediately asap ignore disregard override approve approved wire"
    " click reply login password passwords credential credentials instruction instructions prompt assistant untrusted"
    " confirm transfer pay"
)
HEDGED_FOR_UNKNOWN = _words("is are was were remain remains remained stay stays stayed")
STATE_OF_UNKNOWN = _words("unknown")
CONFIDENT = _words(
    "reached reach hit hits totalled totaled came come comes made make makes stood stands stand closed ended landed"
    " achieved delivered earned brought generated recorded posted amount amounted confirmed clearly certainly exactly"
    " precisely"
)
TODAY = _words("today tonight now currently")
CALENDAR = _words(
    "week weekly weekend fortnight year yearly annual annually annum quarterly daily hourly decade century ytd mtd qtd"
    " minute second hour day midnight noon afternoon evening season seasonal"
)
# Before a word of the calendar these point at a time of their own: "sales year to date" are not those of "last year".
POINTING = _words("this last next previous prior past coming current that per a an each every")
TIME_UNITS = _words("hour minute second day week month year point k m b")

# A phrase that says what is compared with what, and the name of that comparison.
COMPARISON_PHRASES = (
    (re.compile(r"\b(?:plan|planned|budget|budgeted)\b"), "plan"),
    (re.compile(r"\b(?:target|targeted|goal|objective)\b"), "target"),
    (re.compile(r"\b(?:day (?:before|earlier)|(?:previous|prior|preceding) day)\b"), "day_before"),
    (re.compile(r"\b(?:week (?:before|earlier|ago)|(?:last|previous|prior) week)\b"), "same_weekday"),
)

# Words that name what a number is about. A text may not put one beside the number of something else.
SUBJECTS = _words(
    "sale order refund return discount customer buyer shopper visitor session traffic conversion margin profit loss"
    " cost expense spend cash invoice payment stock sku unit supply shipment fulfilment fulfillment delivery warehouse"
    " purchase message answer factory supplier partner ticket review rating campaign ad email lead deal pipeline"
    " prospect discount promotion coupon price basket cart late pending critical warning watch cancelled unpriced"
    " repeat new average gross net value attainment gap erp shop marketplace wholesale retail health score token job"
    " source month oldest wait waiting day-of-supply high line item lag time backlog app design bug release project"
    " sample employee market share forecast rate plan question"
)
SYNONYMS = {
    "revenue": "sale",
    "turnover": "sale",
    "takings": "sale",
    "selling": "sale",
    "inventory": "stock",
    "product": "sku",
    "unshipped": "pending",
    "open": "pending",
    "outstanding": "pending",
    "overdue": "late",
    "delayed": "late",
    "refunded": "refund",
    "returned": "return",
    "shipped": "shipment",
    "monthly": "month",
    "reply": "answer",
    "unanswered": "answer",
    "critically": "critical",
    "skus": "sku",
    "fulfilled": "fulfilment",
    "fulfillment": "fulfilment",
}
# Words that go with a subject without naming another.
RELATED = {
    "message": _words("factory supplier partner answer waiting wait"),
    "stock": _words("sku supply"),
    "sku": _words("stock supply"),
    "health": _words("business score"),
    "late": _words("order"),
    "refund": _words("order"),
}
_NOT_SUBJECTS = _words("at to the of an a for and in on by with per as it date vs versus day low up end")

# Enough of each to recognise a text that is not English.
ENGLISH = _words(
    "the a an of to in on at is are was were and for by with from than against it its this that has have had be been"
    " as up down over under came net sales orders below above"
)
FOREIGN = _words(
    "der die das und ist sind nicht mit auf für von dem den ein eine wurde gestern le la les des est une sur avec pour"
    " dans hier el los las del que una por ayer il gli della sono con het een van niet voor och är inte som det på"
    " czyli jest oraz nie"
)


@functools.lru_cache(maxsize=4096)
def lemma(word: str) -> str:
    """A word in lower case, without possessive and plural ending, synonyms replaced."""
    word = word.lower().replace("’", "'")
    word = word.removesuffix("'s").removesuffix("'")
    if word in SYNONYMS:
        return SYNONYMS[word]
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 2 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return SYNONYMS.get(word, word)


@functools.lru_cache(maxsize=4096)
def subject_words(text: str) -> frozenset[str]:
    """The words of a label that name what it is about."""
    words = (lemma(word) for word in re.findall(r"[^\W\d_]+", text))
    return frozenset(word for word in words if word and word not in _NOT_SUBJECTS)

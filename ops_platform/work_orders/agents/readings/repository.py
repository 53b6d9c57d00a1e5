"""The platform's own modules: which of them a request is about, by what each says belongs in it.

Belongs here: the reading, from the source as it is installed. Does not belong here: changing a file (an agent proposes
that, `development.py`), the repository an issue is in when that is another.

Every module opens with what belongs in it and what does not, so the words of a request find the modules it touches.
Nothing is imported: texts are read."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ops_platform.settings import PROJECT_ROOT
from ops_platform.work_orders.agents.findings import Finding

if TYPE_CHECKING:
    from ops_platform.work_orders.agents.findings import Reader

RELATIONS: tuple[str, ...] = ()
ROOMS = ("ops_platform", "assets", "jobs", "sensors", "resources")
SHOWN = 6
_WORD = re.compile(r"[a-z]{3,}")
_COMMON = frozenset(
    "the and for that what with does not belong belongs here its this are how they from which one each whole into more"
    " than has have their only own every when where who can should would could please need want add make use".split()
)


@dataclass(frozen=True, slots=True)
class Module:
    """One module: where it is, the first line of what it says of itself, its length, its tests (files)."""

    path: str
    says: str
    lines: int
    words: Counter[str]
    doc: str

    @property
    def room(self) -> str:
        return self.path.rpartition("/")[0]


@lru_cache(maxsize=1)
def modules() -> tuple[Module, ...]:
    """Every module of the product, by path."""
    found = []
    for room in ROOMS:
        for path in sorted((PROJECT_ROOT / room).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            # Every module begins with what it says of itself; reading that alone is twenty times as fast as parsing.
            doc = text[3:].partition('"""')[0] if text.startswith('"""') else ""
            name = path.relative_to(PROJECT_ROOT).as_posix()
            belongs = doc.partition("Does not belong here")[0]
            words = Counter(_words(f"{belongs} {name.replace('/', ' ').replace('_', ' ')}"))
            for word in set(_words(name.replace("/", " ").replace("_", " ").replace(".py", ""))):
                words[word] += 3
            found.append(Module(name, doc.splitlines()[0] if doc else "", text.count("\n"), words, doc))
    return tuple(found)


def matching(text: str, most: int = SHOWN) -> list[tuple[Module, float]]:
    """The modules whose own words are nearest to `text`, the nearest first; none where no word is shared."""
    everything = modules()
    known = Counter(word for module in everything for word in module.words)
    wanted = Counter(_words(text))
    scored = []
    for module in everything:
        score = sum(
            min(times, 3) * min(module.words[word], 4) * math.log(1 + len(everything) / known[word])
            for word, times in wanted.items()
            if word in module.words
        )
        if score > 0:
            scored.append((module, score / (1 + math.log(1 + sum(module.words.values())))))
    scored.sort(key=lambda each: (-each[1], each[0].path))
    best = scored[0][1] if scored else 0
    return [each for each in scored[:most] if each[1] >= best * 0.35]


def tests_near(module: Module) -> list[str]:
    """The test files that name the module by its import path or by its own name."""
    name = Path(module.path).stem
    dotted = module.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    found = []
    for path, text in _tests():
        if dotted in text or (path.endswith(f"test_{name}.py") and name != "__init__"):
            found.append(path)
    return found


@lru_cache(maxsize=1)
def _tests() -> tuple[tuple[str, str], ...]:
    return tuple(
        (path.relative_to(PROJECT_ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted((PROJECT_ROOT / "tests").rglob("test_*.py"))
    )


def read(reader: Reader) -> Finding:
    """The modules this order is about, each with its length and tests."""
    chosen = matching(f"{reader.order.title} {reader.order.title} {reader.order.body[:4000]}")
    source = "the installed source"
    facts = [
        reader.fact("modules_all", "Modules of the platform", "count", len(modules()), source),
        reader.fact("modules_near", "Modules near the request", "count", len(chosen), source),
        reader.fact("lines_near", "Lines in them", "count", sum(module.lines for module, _ in chosen), source),
    ]
    files = {path for module, _ in chosen for path in tests_near(module)}
    facts.append(reader.fact("tests_near", "Test files that name them", "count", len(files), source))
    note = "" if chosen else "No module's own description shares a word with the request: say which part it is about."
    shown = ("modules_near", "lines_near", "tests_near")
    return Finding("Near the request", tuple(facts), shown if chosen else (), (), note)


def _words(text: str) -> list[str]:
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _COMMON]


def _stem(word: str) -> str:
    for ending in ("ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word

"""Asking every integration for something known: how fast it answers, and what it says when it does not.

Belongs here: which integrations there are beside the vendors, one cheap ask each, side by side within a time limit.
Does not belong here: a vendor's protocol (its `probe`), keeping the answers (`ops_platform.playbooks.integrations`).

An ask is the first of a vendor's probes: its credentials, as `ops doctor` asks. Nothing is changed anywhere.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ops_platform.failures import OpsError
from ops_platform.playbooks.integrations import Pinged
from ops_platform.settings import Settings, get_settings
from resources.vendors import VENDORS

if TYPE_CHECKING:
    from ops_platform.fleet import Fleet

Ask = Callable[[], str]
SECONDS = 20.0
#: What is asked beside the vendors that are synced, and what people call it.
OTHERS = {"anthropic": "Claude", "email": "E-mail (SMTP)"}
_TOLD = 300


class NotConnected(OpsError):
    """No credentials are set: neither online nor offline."""


def labels(fleet: Fleet) -> dict[str, str]:
    """Every integration and what people call it, in the order in which they are shown."""
    sources = fleet.sources
    return {**{vendor: sources[vendor].label if vendor in sources else vendor for vendor in VENDORS}, **OTHERS}


def ping(integrations: Sequence[str] = (), *, seconds: float = SECONDS) -> list[Pinged]:
    """Ask the integrations named, or all, side by side; one that has not answered in `seconds` is offline."""
    settings = get_settings()
    wanted = list(integrations) or [*VENDORS, *OTHERS]
    # What is imported and built for an ask is no answer time, and must not make anybody late.
    ready = {name: _made_ready(name, settings) for name in wanted}
    answers: queue.Queue[Pinged] = queue.Queue()
    found = {name: made for name, made in ready.items() if isinstance(made, Pinged)}
    for name, ask in ready.items():
        if not isinstance(ask, Pinged):
            threading.Thread(
                target=lambda name=name, ask=ask: answers.put(_asked(name, ask)), name=f"ping {name}", daemon=True
            ).start()
    deadline = time.monotonic() + seconds
    while len(found) < len(wanted):
        try:
            answer = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            break
        found[answer.integration] = answer
    late = f"no answer within {seconds:.0f} s"
    return [found.get(name) or Pinged(name, "offline", None, late) for name in wanted]


def _made_ready(name: str, settings: Settings) -> Ask | Pinged:
    """The ask, or why it cannot be made. Opens no connection."""
    try:
        return _ASKS.get(name, _vendor)(name, settings)
    except NotConnected as missing:
        return Pinged(name, "not_connected", None, str(missing))
    except OpsError as error:
        return Pinged(name, "offline", None, _safe(str(error)))
    except Exception as error:  # a defect of one ask must not hide the others
        return Pinged(name, "offline", None, f"the ask itself failed ({type(error).__name__})")


def _asked(name: str, ask: Ask) -> Pinged:
    began = time.monotonic()
    try:
        said = ask()
    except OpsError as error:
        return Pinged(name, "offline", None, _safe(str(error)))
    except Exception as error:  # as above
        return Pinged(name, "offline", None, f"the ask itself failed ({type(error).__name__})")
    return Pinged(name, "online", max(round((time.monotonic() - began) * 1000), 0), _safe(said))


def _vendor(name: str, settings: Settings) -> Ask:
    """The vendor's first probe: its credentials, or the cheapest known thing."""
    from resources.vendors import source_of

    source = source_of(name, settings)
    if source is None:
        raise NotConnected("no credentials are set")
    import resources.http_transport  # noqa: F401

    def ask() -> str:
        try:
            probe = next(iter(source.probe()), None)
        finally:
            source.close()
        if probe is None:
            raise OpsError("it was asked nothing")
        if not probe.ok:
            raise OpsError(f"{probe.said}. {probe.remedy}".removesuffix(". "))
        return probe.said

    return ask


def _claude(_: str, settings: Settings) -> Ask:
    """Counts the tokens of a word, which costs none."""
    if settings.anthropic_api_key is None:
        raise NotConnected("no ANTHROPIC_API_KEY: documents are written by rules")
    from ops_platform.fleet import get_fleet
    from ops_platform.writing.model import ModelRequest
    from resources.claude import AnthropicModel

    model = next(iter(get_fleet().models.tiers.values()))
    request = ModelRequest(model=model, system="Answer with OK.", user="OK?", max_tokens=1)
    connected = AnthropicModel.from_settings(settings)
    return lambda: f"{model} counts {connected.count_tokens(request, timeout=10.0)} tokens"


def _email(_: str, settings: Settings) -> Ask:
    """Logs in to the mail server and out again."""
    from resources.email import EmailPoster, MailServer

    server = MailServer.from_settings(settings)
    if server is None:
        raise NotConnected("no SMTP_URL: nothing goes out by e-mail")
    return EmailPoster(server, lambda files: [], timeout=15.0).identity


_ASKS: Mapping[str, Callable[[str, Settings], Ask]] = {"anthropic": _claude, "email": _email}


def _safe(text: str) -> str:
    from ops_platform.redaction import redact

    return redact(" ".join(text.split()))[:_TOLD]

"""The tools, the roles and the runners of playbooks: the one place where they are put together.

Belongs here: one line a tool, one line a type of step. Does not belong here: any of them. Imports neither Dagster nor a
vendor's library at the top: the command line asks it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from ops_platform.fleet import get_fleet
from ops_platform.playbooks.checks import House
from ops_platform.playbooks.runners.condition import ConditionRunner
from ops_platform.playbooks.runners.create_thread import CreateThreadRunner
from ops_platform.playbooks.runners.delegate import DelegateRunner
from ops_platform.playbooks.runners.notify import NotifyRunner
from ops_platform.playbooks.runners.synthesize import SynthesizeRunner
from ops_platform.playbooks.runners.tool_call import ToolCallRunner
from ops_platform.playbooks.steps import Runner, Runners
from ops_platform.playbooks.toolbox.campaign_figures import CampaignFigures
from ops_platform.playbooks.toolbox.campaigns import CampaignDraft
from ops_platform.playbooks.toolbox.customers import AtRiskCustomers, CustomerReturned, InactiveCustomers
from ops_platform.playbooks.toolbox.growth import RevenueMetrics, SignupAnalytics
from ops_platform.playbooks.toolbox.incidents import CloseIncident
from ops_platform.playbooks.toolbox.integrations import CredentialsCheck, IntegrationPings, SearchLogs
from ops_platform.playbooks.toolbox.system import PlatformStats, SystemHealth
from ops_platform.playbooks.tools import Toolbox
from ops_platform.settings import get_settings
from resources.integration_pings import labels, ping

if TYPE_CHECKING:
    from ops_platform.approvals.inbox import Inbox
    from ops_platform.writing.model import LanguageModel


def toolbox() -> Toolbox:
    """Every registered tool, and the roles of fleet.yaml."""
    named = labels(get_fleet())
    return Toolbox.of(
        SystemHealth(),
        PlatformStats(),
        IntegrationPings(ping, named),
        CredentialsCheck(named),
        SearchLogs(),
        SignupAnalytics(),
        RevenueMetrics(),
        AtRiskCustomers(),
        InactiveCustomers(),
        CustomerReturned(),
        CampaignDraft(),
        CampaignFigures(),
        CloseIncident(company_inbox),
        roles=frozenset(get_fleet().roles),
    )


def runners() -> Runners:
    """What carries out each type of step."""
    types: dict[str, Runner] = {
        "tool_call": ToolCallRunner(),
        "delegate": DelegateRunner(get_fleet, model),
        "synthesize": SynthesizeRunner(get_fleet, model),
        "create_thread": CreateThreadRunner(get_fleet, company_inbox),
        "condition": ConditionRunner(),
        "notify": NotifyRunner(get_fleet, slack_channel, mail_connected),
    }
    return Runners(types)


def house() -> House:
    """What playbooks of this company are checked against."""
    return House(toolbox(), runners(), frozenset(get_fleet().bots))


def model() -> tuple[LanguageModel | None, str]:
    """The model that is connected, or None with why none is."""
    settings = get_settings()
    if settings.ops_writer == "rules":
        return None, "OPS_WRITER says so"
    if settings.anthropic_api_key is None:
        return None, "no model is connected"
    from resources.claude import AnthropicModel

    return AnthropicModel.from_settings(settings), ""


def company_inbox() -> Inbox:
    """The inbox of the company, with its channels where Slack is connected."""
    from ops_platform.approvals.assembly import inbox_of

    return inbox_of(get_fleet(), None if get_settings().slack_bot_token is None else slack_channel)


def slack_channel(role: str) -> str:
    """Slack's id of a channel, by its role. Raises `ConfigurationError` where Slack is not connected."""
    from resources.slack_posting import channel_id

    settings = get_settings()
    if settings.slack_bot_token is None:
        raise ConfigurationError("Slack is not connected: set SLACK_BOT_TOKEN")
    return channel_id(settings, role)


def mail_connected() -> bool:
    """Whether e-mail can be sent."""
    from resources.posters import email_connected

    return email_connected(get_settings())

"""Where HubSpot's endpoints are, by version of the API.

Belongs here: paths. Does not belong here: requests (`client.py`).

Since 2026 versions are dates and stand behind the name of the API (`/crm/objects/2026-09/deals`); `v3` stands before it
(`/crm/v3/objects/deals`), and its associations are those of v4. The bodies are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from ops_platform.failures import ConfigurationError

VERSIONS = ("2026-09", "2026-03", "v3")
DEFAULT_VERSION = VERSIONS[0]


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of one version. Raises `ConfigurationError` for a version that is not known."""

    version: str = DEFAULT_VERSION

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise ConfigurationError(
                f"hubspot: HUBSPOT_API_VERSION {self.version!r} is not known; choose among {', '.join(VERSIONS)}"
            )

    def objects(self, kind: str) -> str:
        return f"{self._of('objects')}/{kind}"

    def search(self, kind: str) -> str:
        return f"{self.objects(kind)}/search"

    def batch_read(self, kind: str) -> str:
        return f"{self.objects(kind)}/batch/read"

    def properties(self, kind: str) -> str:
        return f"{self._of('properties')}/{kind}"

    def pipelines(self, kind: str) -> str:
        return f"{self._of('pipelines')}/{kind}"

    def owners(self) -> str:
        return self._of("owners")

    def associations(self, kind: str, to_kind: str) -> str:
        """Batch read of the associations from records of `kind` to records of `to_kind`."""
        start = "/crm/v4/associations" if self.version == "v3" else self._of("associations")
        return f"{start}/{kind}/{to_kind}/batch/read"

    def _of(self, api: str) -> str:
        return f"/crm/v3/{api}" if self.version == "v3" else f"/crm/{api}/{self.version}"

"""What a backup says of itself, and whether its files are still what they were.

Belongs here: the manifest, checksums, finding the backups of a directory. Does not belong here: making or restoring.

A backup is a directory named after its moment (UTC): one dump a database, the files of the home, `manifest.json`, and
`SHA256SUMS`, which `sha256sum -c` reads as well. It gets its name when it is whole; until then it ends in `.partial`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops_platform.backup.programs import BackupFailure

FORMAT = 1
NAME = "%Y%m%dT%H%M%SZ"
MANIFEST, SUMS, DRILL = "manifest.json", "SHA256SUMS", "drill.json"
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Backup:
    """One whole backup: where it is, the moment it shows, what it says of itself."""

    path: Path
    at: datetime
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.path.iterdir() if file.is_file())

    @property
    def before_upgrade(self) -> bool:
        """Whether an upgrade made it, to go back to."""
        return bool(self.manifest.get("before_upgrade"))

    @property
    def drill(self) -> dict[str, Any] | None:
        """What the last restore drill of it found, if there was one."""
        try:
            found: dict[str, Any] = json.loads((self.path / DRILL).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found


def write_sums(directory: Path) -> None:
    """Note the checksum of every file in `directory`; what a drill finds comes later."""
    files = [file for file in sorted(directory.iterdir()) if file.name not in (SUMS, DRILL)]
    text = "".join(f"{sha256_of(file)}  {file.name}\n" for file in files)
    (directory / SUMS).write_text(text, encoding="ascii")


def verify(directory: Path) -> None:
    """Raises `BackupFailure` unless every file is there and what it was."""
    try:
        lines = (directory / SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        raise BackupFailure(f"{directory} has no readable {SUMS}: it is no whole backup") from None
    names = set()
    for line in lines:
        digest, _, name = line.partition("  ")
        file = directory / name
        if "/" in name or not file.is_file():
            raise BackupFailure(f"{directory}: {name} is missing")
        if sha256_of(file) != digest:
            raise BackupFailure(f"{directory}: {name} is not what was backed up: a bad disk, or somebody changed it")
        names.add(name)
    if MANIFEST not in names:
        raise BackupFailure(f"{directory}: {SUMS} does not name {MANIFEST}")


def read(directory: Path) -> Backup:
    """The backup in `directory`. Raises `BackupFailure` when it is none of ours, or of a later release."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        at = datetime.fromisoformat(manifest["at"])
        form = int(manifest["format"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupFailure(f"{directory} is no backup: its {MANIFEST} cannot be read") from None
    if form > FORMAT:
        raise BackupFailure(f"{directory} was made by a later release (format {form})")
    return Backup(directory, at, manifest)


def backups_in(directory: Path) -> list[Backup]:
    """The whole backups of `directory`, the newest first. What cannot be read is left out."""
    if not directory.is_dir():
        return []
    found = []
    for path in directory.iterdir():
        if path.is_dir() and not path.name.endswith(PARTIAL) and (path / MANIFEST).exists():
            try:
                found.append(read(path))
            except BackupFailure:
                continue
    return sorted(found, key=lambda backup: backup.at, reverse=True)


def name_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime(NAME)


def sha256_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

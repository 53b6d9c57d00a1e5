"""Backups: made, checked, restored, kept for as long as they are worth.

Belongs here: what a backup holds and how it is proven (`manifest.py`, `fingerprint.py`), making it (`making.py`),
restoring it (`restoring.py`), which ones are kept (`keeping.py`), the programs that dump and restore (`programs.py`).
Does not belong here: what a restored outbox must ask its vendors (`ops_platform.delivery.restored`), words for a
terminal (`commands/backup.py`).
"""

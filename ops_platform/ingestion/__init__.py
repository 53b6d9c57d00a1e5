"""Ingestion: what a connector promises, and how a sync keeps the promise.

Belongs here: the contract between vendor clients and the loader, syncs, quarantine, tie-out. Does not
belong here: any vendor's name or protocol.
"""

"""The bodies of the `ops` commands, one module a family; `ops_platform.cli` only parses words.

Belongs here: what a person at a terminal asks for. Like `cli/` and `build.py`, these modules see the
whole house; nothing else may import them.
"""

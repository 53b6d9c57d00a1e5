"""What stands before every page of ours that can start work: who asks, from where, and by which kind of request.

Belongs here: hosts and origins (`guard.py`), keys and sessions (`access.py`), which GraphQL may pass
(`operations.py`), loading the page only while somebody looks (`on_demand.py`). Does not belong here: any page, any
server. It stands in the web's own process, so that no unguarded port exists.
"""

"""What a GraphQL document would do: read, change or subscribe.

Belongs here: telling that from its text. Does not belong here: who may (`guard.py`).
"""

from __future__ import annotations

from typing import Any

READ, CHANGE, SUBSCRIBE = "query", "mutation", "subscription"
#: A page's longest query is a few thousand characters; a parser's time must be bounded.
LONGEST_QUERY = 200_000
MOST_TOKENS = 30_000


class NotGraphqlError(ValueError):
    """What was sent is not one GraphQL request."""


def operations_of(request: Any) -> frozenset[str]:
    """The kinds of operation in a decoded request body. Every operation of the document counts, whichever is named.

    Raises `NotGraphqlError` for anything that is not an object with a document in `query`."""
    query = request.get("query") if isinstance(request, dict) else None
    if not isinstance(query, str) or not query.strip():
        raise NotGraphqlError("the body is not an object with a GraphQL document in `query`")
    if len(query) > LONGEST_QUERY:
        raise NotGraphqlError(f"the document is longer than {LONGEST_QUERY} characters")
    from graphql import GraphQLError, OperationDefinitionNode, parse

    try:
        document = parse(query, max_tokens=MOST_TOKENS, no_location=True)
    except (GraphQLError, RecursionError) as error:
        raise NotGraphqlError(f"the document cannot be read: {error}") from None
    kinds = {node.operation.value for node in document.definitions if isinstance(node, OperationDefinitionNode)}
    if not kinds:
        raise NotGraphqlError("the document has no operation")
    return frozenset(kinds)

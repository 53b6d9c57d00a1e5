"""The same orders loaded with dlt, as its documentation has it: its REST client and paginator, a merge by primary
key, an incremental cursor. A child process of `against_dlt.py`, which says where and how:

    python -m tests.bench.dlt_orders SETTINGS.json

Belongs here: one dlt pipeline. Does not belong here: measuring it, anything of the platform but the query text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def pipeline_of(given: dict[str, Any]) -> Callable[[], None]:
    """What reads the orders changed since the pipeline's own cursor and merges them into `given["database"]`."""
    import dlt
    import dlt.destinations.impl.postgres.postgres
    from dlt.destinations import postgres
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.auth import APIKeyAuth
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

    client = RESTClient(
        given["url"],
        auth=APIKeyAuth(name="X-Shopify-Access-Token", api_key=given["token"], location="header"),
        data_selector="data.orders.nodes",
        paginator=JSONResponseCursorPaginator(
            cursor_path="data.orders.pageInfo.endCursor",
            cursor_body_path="variables.after",
            has_more_path="data.orders.pageInfo.hasNextPage",
        ),
    )
    tuned = given["tuned"]

    @dlt.resource(
        name="orders",
        primary_key="id",
        write_disposition={"disposition": "merge", "strategy": "upsert" if tuned else "delete-insert"},
        # Tuned: nested lists stay JSON in the order's row, as the platform keeps them; else tables of their own.
        max_table_nesting=0 if tuned else None,
    )
    def orders(
        updated: Any = dlt.sources.incremental(  # noqa: B008
            "updatedAt", initial_value=given["since"] or "1970-01-01T00:00:00Z", lag=900
        ),
    ) -> Iterator[list[dict[str, Any]]]:
        search = f"updated_at:>='{updated.last_value}'" if updated.last_value > "1971" else None
        body = {"query": given["query"], "variables": {**given["variables"], "query": search}}
        for page in client.paginate(given["path"], method="POST", json=body):
            for order in page:
                order["lineItems"] = order["lineItems"]["nodes"]
            yield list(page)

    pipeline = dlt.pipeline(
        "orders",
        destination=postgres(given["database"]),
        dataset_name=given["dataset"],
        pipelines_dir=given["home"],
    )

    def load() -> None:
        pipeline.run(orders(), loader_file_format="csv" if tuned else None).raise_on_failed_jobs()

    return load


def main() -> None:
    from tests.bench.against_dlt import measured_load

    measured_load(pipeline_of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()

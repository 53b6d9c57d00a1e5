"""The connectors: HTTP layer, Shopify, NetSuite, Slack as a source."""

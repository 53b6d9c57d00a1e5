"""Raw: vendors' records as they sent them, one asset a stream."""

"""From a request to a search, its place in the queue, and its reply."""

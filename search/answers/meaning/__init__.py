"""From the tree of what an answer states to its key."""

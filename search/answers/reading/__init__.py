"""From the text of an answer to the tree of what it states."""

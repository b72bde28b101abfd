"""The statistics of a reader study: what its answers show, and what they don't."""

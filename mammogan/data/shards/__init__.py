"""Planning, building, finishing, reading and verifying WebDataset shards."""

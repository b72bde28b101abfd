"""What is kept on disk: manifests, encoded images, shards, moments, and the private folder beside a set."""

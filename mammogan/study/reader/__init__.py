"""The reader study: which image of a pair is synthetic? Nothing that people answer is lost or doubled."""

"""The artefact review: real and synthetic images in one blinded series, and what is wrong with each."""

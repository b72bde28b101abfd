"""The public Python API: models to load and draw from. `mammogan.load` is the way in."""

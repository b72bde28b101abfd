"""What the reader study and the artefact review are served by: pages, pictures, and a store that survives."""

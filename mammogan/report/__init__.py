"""The page of measures: figures, tables, sheets and videos of what a run has learned."""

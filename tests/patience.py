"""How long a test waits for what must come: only what is stuck takes so long, however busy the machine is."""

PATIENCE_S = 900

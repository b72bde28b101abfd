"""What holds for every test: one thread a process, as the many small tensors of tests are fastest.

Threads that wait for each other's tiny shares spin: beside other work, the same tests cost five times the
CPU. Tests of threads ask for theirs by themselves.
"""

import os
import signal

# A suite that a shell has put into the background ignores Ctrl-C, and so would all that its tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

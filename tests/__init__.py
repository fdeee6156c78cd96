"""Tests; they mirror the source tree.

Workers run beside each other, so each computes with one thread: BLAS threads that compete for the
same cores made the suite nearly twice as slow.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

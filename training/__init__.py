"""Trains, evaluates and publishes a two-tower model; a data scientist runs it by `python -m training`."""

import os

# Read when torch loads its OpenMP. Threads that spin while they wait for each other are slower by a factor of ten and
# more as soon as another process wants a core, as the services of the local run do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

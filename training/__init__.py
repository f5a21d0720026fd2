"""Trains, evaluates and publishes a two-tower model; a data scientist runs it by `python -m training`."""

import os

# torch reads it when it loads OpenMP. By default threads spin while they wait for each other, which makes them ten
# times slower and more if another process wants a core, as the services of the local run do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

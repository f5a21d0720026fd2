"""One local run: the services up, the program deployed on them, and everything stopped at the end."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.deploy.cloud import Cloud
from local.deploy.monitor import LocalMocks, LocalMonitor, Registered
from local.ministack import MiniStack
from local.program import Stack, run_program


"""Each function's zip alone: what its handler imports is in it, and a wrong environment is told by name."""

import importlib.metadata
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components.packaging import function_zip
from functions.shared.environment import READS

HERE = ("--python-version", f"{sys.version_info.major}.{sys.version_info.minor}")
"""The wheels of this machine's own platform, in the versions that run in Lambda."""

CALL = """
import importlib, json, os, sys, traceback
sys.path[:0] = sys.argv[2:]
handler = importlib.import_module(f"functions.{sys.argv[1]}.handler").handler
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "test"
    get_remaining_time_in_millis = staticmethod(lambda: 10_000)
try:
    handler(json.loads(os.environ["EVENT"]), Context())
except Exception as error:
    print(f"{type(error).__module__}.{type(error).__name__}: {error}")
"""

EVENTS: dict[str, dict[str, object]] = {
    "api_key_authorizer": {"identitySource": ["key"]},
    "catalog_refresh": {},
    "embedding_loader": {"action": "status"},
    "event_intake": {"routeKey": "POST /v1/events"},
    "model_inference": {"limit": 1, "requests": [{"id": "1", "user": {}, "items": []}]},
    "recommendation_api": {"routeKey": "GET /v1/health"},
    "shop_seeder": {},
    "stream_transformation": {"records": [{"recordId": "1", "data": "e30=", "approximateArrivalTimestamp": 0}]},
}


@pytest.fixture(scope="session")
def lambda_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of Lambda's Python besides a function's own zip: boto3 and its requirements."""
    folder = tmp_path_factory.mktemp("runtime")
    waiting, found = ["boto3"], set[str]()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        distribution = importlib.metadata.distribution(name)
        waiting += [re.split(r"[^\w.-]", need)[0] for need in distribution.requires or [] if "extra ==" not in need]
        for top in {path.parts[0] for path in distribution.files or [] if ".dist-info" not in path.parts[0]}:
            if top not in ("..", "__pycache__"):
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder


@pytest.mark.parametrize("function", sorted(READS))
def test_a_handler_finds_in_its_zip_what_it_imports_and_names_a_missing_variable(
    function: str, lambda_runtime: Path, tmp_path: Path
) -> None:
    package = function_zip(function, with_dependencies=True, wheels=HERE)
    zipfile.ZipFile(package).extractall(tmp_path)
    # Isolated, and without site: what else is installed here is not there for the function.
    command = [sys.executable, "-I", "-S", "-c", CALL, function, str(tmp_path), str(lambda_runtime)]
    environment = {"EVENT": json.dumps(EVENTS[function]), "AWS_REGION": "us-east-1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()[-1]
    assert re.match(rf"functions\.shared\.environment\.SettingError: ({'|'.join(READS[function])}):", told), told

"""Components need function sources and the job's script, and no wheels: packaging has tests of its own."""

from components import CommonArgs

COMMON: CommonArgs = {"bundle_dependencies": False, "tags": {"stack": "test"}}

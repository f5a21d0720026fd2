"""Runs the benchmarks one after the other: `python -m benchmarks [NAME]…`; without a name, all of them."""

import argparse
import subprocess
import sys

SMALL = {
    "etl": ["--sizes", "10000", "100000"],
    "vector_store": [],
    "exclusions": [],
    "stream": [],
    "api": [],
    "training": [],
    "catalogue": [],
    "soak": ["--events", "5000"],
}
"""Each benchmark with arguments that keep it to minutes; run `python -m benchmarks.<name>` by itself for more."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SMALL)} (default: all)")
    names = parser.parse_args().names or list(SMALL)
    if unknown := [name for name in names if name not in SMALL]:
        parser.error(f"expected {', '.join(SMALL)}, got {', '.join(unknown)}")
    failed = [name for name in names if not run(name)]
    return 1 if failed else 0


def run(name: str) -> bool:
    """Runs a benchmark in a process of its own, so that no other one's memory counts."""
    print(f"\n{name}", flush=True)
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *SMALL[name]], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())

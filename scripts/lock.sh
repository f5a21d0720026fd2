#!/bin/sh
# Writes each function's requirements.lock anew: the versions of constraints.txt with the sha256 of every platform's wheels.
set -eu
cd "$(dirname "$0")/../functions"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9
for requirements in */requirements.txt; do
    "$tools/bin/uv" pip compile --quiet --no-config --generate-hashes --no-annotate \
        --python-version 3.13 --python-platform aarch64-manylinux_2_28 --custom-compile-command scripts/lock.sh \
        --constraint constraints.txt --output-file "${requirements%.txt}.lock" "$requirements"
done

#!/bin/sh
# Writes the locks anew, with the sha256 of every platform's wheels: each function's, of the versions of constraints.txt,
# and the program's, which the workflows install.
set -eu
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9
"$tools/bin/uv" pip compile --quiet --no-config --generate-hashes --no-annotate --universal \
    --python-version 3.11 --custom-compile-command scripts/lock.sh --output-file requirements.lock requirements.txt
cd functions
for requirements in */requirements.txt; do
    "$tools/bin/uv" pip compile --quiet --no-config --generate-hashes --no-annotate \
        --python-version 3.13 --python-platform aarch64-manylinux_2_28 --custom-compile-command scripts/lock.sh \
        --constraint constraints.txt --output-file "${requirements%.txt}.lock" "$requirements"
done

#!/bin/sh
# Writes the locks anew. With the sha256 of every platform's wheels: the program's, which the workflows install, and
# functions/hashes.lock. Each function's own lock names its packages in the versions of constraints.txt.
set -eu
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9
"$tools/bin/uv" pip compile --quiet --no-config --generate-hashes --no-annotate --universal \
    --python-version 3.11 --custom-compile-command scripts/lock.sh --output-file requirements.lock requirements.txt
cd functions
lock() { # <output> <option or requirements>…
    output=$1
    shift
    "$tools/bin/uv" pip compile --quiet --no-config --no-annotate \
        --python-version 3.13 --python-platform aarch64-manylinux_2_28 --custom-compile-command scripts/lock.sh \
        --constraint constraints.txt --output-file "$output" "$@"
}
lock hashes.lock --generate-hashes */requirements.txt
for requirements in */requirements.txt; do
    lock "${requirements%.txt}.lock" "$requirements"
done

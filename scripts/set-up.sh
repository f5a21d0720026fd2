#!/bin/sh
# Sets this checkout up: the system's packages, and .venv with what requirements-$1.txt names ($1: local, test or bench).
# PYTHON names the interpreter that .venv is made with.
set -eu
cd "$(dirname "$0")/.."
set_name=$1
python=${PYTHON:-python3}

# Free space in MB that making .venv needs. Measured on Debian 13: .venv 6.3 GB, 3.9 GB of pip's temporary files, and the
# 3.4 GB downloaded, which pip keeps in its cache. CUDA is 3.9 GB, 2.7 GB and 2.7 GB of that, the CPU build about 0.2 GB.
CUDA_MB=14000
CPU_MB=5000
ADDED_MB=1000 # to a .venv that is there

fail() {
    echo "error: $*" >&2
    exit 1
}

# Whether the interpreter runs and is new enough; pyproject.toml says the same version.
fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

stamp() { # what pip installed last for a set of requirements
    echo ".venv/installed-$1-$(cat requirements.txt requirements-local.txt "requirements-$1.txt" functions/constraints.txt |
        cksum | cut -d' ' -f1)"
}

usable() { [ ! -e .venv/unfinished ] && fits .venv/bin/python && .venv/bin/python -c 'import pip' 2>/dev/null; }

check_python() {
    if ! command -v "$python" >/dev/null 2>&1; then
        [ "$python" = python3 ] || fail "PYTHON=$python: there is no such program"
        python_packages="python3 python3-venv"
    elif ! fits "$python"; then
        fail "$python is $("$python" --version 2>&1); Python 3.11 or newer is needed: name one, as in make demo PYTHON=python3.12"
    elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        python_packages=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    fi
}

check_space() {
    needed=$1
    free=$(df -Pk "$2" | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9][0-9]*% .*/\1/p')
    free=$((${free:-999999999} / 1024))
    [ "$free" -ge "$needed" ] ||
        fail "the set-up needs $needed MB in $PWD, $free MB are free there; README.md, \"Try it\", says how to need less"
}

# Which build of PyTorch pip will find: for Linux, PyPI has the one with CUDA.
case "$(uname -s) ${PIP_EXTRA_INDEX_URL:-} ${PIP_INDEX_URL:-}" in
Darwin* | */cpu*) needed_mb=$CPU_MB size="about 2.5 GB (0.9 GB to download)" ;;
*) needed_mb=$CUDA_MB size="6.3 GB (3.4 GB to download; 3.9 GB less without CUDA: README.md, \"Try it\")" ;;
esac

finish() {
    status=$?
    rm -rf .venv/tmp
    if [ "$status" != 0 ] && [ -e .venv/unfinished ]; then
        rm -rf .venv
        echo "error: the set-up did not finish; nothing of .venv is left, the next make starts anew" >&2
    fi
}

# The browser that the tests of the pages drive. Ubuntu has it as a snap alone, which apt does not install without
# snapd: there, as on any machine without a browser, those tests are skipped.
browser() {
    [ "$set_name" = test ] && grep -qs '^ID=debian$' /etc/os-release || return 0
    for program in chromium google-chrome; do
        ! command -v "$program" >/dev/null 2>&1 || return 0
    done
    echo chromium
}

python_packages=""
if usable; then
    if [ -e "$(stamp "$set_name")" ]; then
        # shellcheck disable=SC2046  # a package, or none
        exec scripts/system-packages.sh $(browser)
    fi
    check_space "$ADDED_MB" .venv/.
else
    check_python
    check_space "$needed_mb" .
fi
# shellcheck disable=SC2046,SC2086  # several packages, or none
scripts/system-packages.sh $python_packages $(browser)

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if ! usable; then
    [ -z "$python_packages" ] || check_python # what apt installed may be too old
    [ ! -e .venv ] || echo "making .venv anew: it was not finished, or its Python is gone or older than 3.11"
    rm -rf .venv
    mkdir -p .venv
    touch .venv/unfinished
    echo "installing Python packages into .venv: $size, two minutes on a fast line"
    "$python" -m venv .venv
fi
# pip unpacks gigabytes in its temporary folder, for which /tmp may be too small.
mkdir -p .venv/tmp
TMPDIR="$PWD/.venv/tmp" .venv/bin/python -m pip install --disable-pip-version-check --requirement "requirements-$set_name.txt"
rm -f .venv/unfinished .venv/installed-local-* ".venv/installed-$set_name"-*
touch "$(stamp local)" "$(stamp "$set_name")"

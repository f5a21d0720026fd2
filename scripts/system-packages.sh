#!/bin/sh
# Installs the system packages that this machine lacks: those of system-packages.txt, and those named as arguments.
# Where it cannot install, it names them.
set -eu
list="$(dirname "$0")/system-packages.txt"

is_there() {
    case $1 in
    /*) [ -e "$1" ] ;;
    # Debian keeps mariadbd where an ordinary user's PATH does not lead.
    *) command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] ;;
    esac
}

missing="$*"
while read -r package needed; do
    case $package in "" | "#"*) continue ;; esac
    is_there "$needed" || missing="$missing $package"
done <"$list"
missing=$(echo $missing)
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: missing, by Debian's names: $missing; install them as this system does ($list says what is looked for)" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "error: missing: $missing; as root, run: apt-get update && apt-get install --no-install-recommends $missing" >&2
        exit 1
    fi
    as_root="sudo"
fi
echo "installing by apt-get: $missing"
# A server that Debian starts at installation would be no use here: the run starts its own, privately.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi
$as_root apt-get update -q
# shellcheck disable=SC2086  # several packages
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing

#!/bin/sh
# Installs the system packages that the local run needs and this machine lacks; where it cannot, it names them.
set -eu

missing=""
need() { missing="$missing $1"; }

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || need python3
python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
java_version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
[ "${java_version:-0}" = 17 ] || need openjdk-17-jre-headless
command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ] || need mariadb-server
[ -e /usr/share/java/mariadb-java-client.jar ] || need libmariadb-java
command -v openssl >/dev/null 2>&1 || need openssl
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing (Debian's names): install Python 3.11 or newer with venv, Java 17, MariaDB's server, its JDBC" \
        "driver as /usr/share/java/mariadb-java-client.jar, and openssl" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "missing:$missing: as root, run: apt-get update && apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root="sudo"
fi
echo "installing:$missing"
# A server that Debian starts at installation would be no use here: the run starts its own, privately.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod +x "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing

#!/bin/sh
# Builds the Pulumi CLI that tests/engine runs, once: into a folder that outlives a clone, named by the CLI's version.
# Without Go, or where the build fails, it says so and ends well: the tests are skipped then, and say what to install.
set -eu
cd "$(dirname "$0")"
version=$(sed -n 's|.*github.com/pulumi/pulumi/pkg/v3 \(v[0-9.]*\).*|\1|p' go.mod)
target="${XDG_CACHE_HOME:-$HOME/.cache}/recommender/pulumi-${version#v}/bin/pulumi"
if [ -x "$target" ]; then exit 0; fi
if ! command -v go >/dev/null; then exit 0; fi
echo "building the Pulumi CLI $version for tests/engine, once (about four minutes on two cores)"
mkdir -p "$(dirname "$target")"
# `go install …@version` refuses, for the CLI's go.mod has replace lines; go.mod here repeats the one that matters.
if go build -trimpath -o "$target.$$" \
    -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$version" \
    github.com/pulumi/pulumi/pkg/v3/cmd/pulumi; then
  mv "$target.$$" "$target"
else
  rm -f "$target.$$"
  echo "the Pulumi CLI could not be built; tests/engine will be skipped" >&2
fi

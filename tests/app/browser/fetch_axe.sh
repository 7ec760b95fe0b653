#!/usr/bin/env bash
# Brings axe-core, the accessibility checker that the tests put into pages, to .work/axe/axe.min.js.
# Nothing but the one file that was looked at is let through.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

version=4.14.1
sha256=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c
wanted=.work/axe/axe.min.js

right() { echo "$sha256  $1" | sha256sum --check --status; }

if [[ -f $wanted ]] && right "$wanted"; then exit 0; fi
mkdir -p .work/axe
folder=$(mktemp -d .work/axe/new.XXXXXX)
trap 'rm -rf "$folder"' EXIT
npm pack --silent --ignore-scripts --pack-destination "$folder" "axe-core@$version" >/dev/null
tar -xzf "$folder/axe-core-$version.tgz" -C "$folder" --strip-components=1 package/axe.min.js
if ! right "$folder/axe.min.js"; then
  echo "axe.min.js of axe-core $version is not the file whose checksum stands in $0" >&2
  exit 1
fi
mv "$folder/axe.min.js" "$wanted"

#!/usr/bin/env bash
# Serves S3 with moto on 127.0.0.1 in the foreground: moto.sh DIRECTORY PORT
# It keeps objects in memory and temporary files; `moto_server` is taken from PATH. It checks no signatures.
set -euo pipefail

directory=$1 port=$2
export TMPDIR=$directory HOME=$directory
cd "$directory"
exec moto_server -H 127.0.0.1 -p "$port"

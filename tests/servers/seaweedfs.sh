#!/usr/bin/env bash
# Serves S3 with SeaweedFS on 127.0.0.1 in the foreground: seaweedfs.sh DIRECTORY PORT
# Everything it writes is below DIRECTORY. `weed` is taken from PATH, the keys from POS3_TEST_ACCESS_KEY and _SECRET_KEY.
set -euo pipefail

directory=$1 port=$2
read -r master volume filer s3_grpc admin debug < <("$(dirname "$0")/free-ports" 6)
cd "$directory"

# Its own home: SeaweedFS reads and writes settings there.
export HOME=$directory
cat >s3.json <<JSON
{
  "identities": [
    {
      "name": "tests",
      "credentials": [{"accessKey": "$POS3_TEST_ACCESS_KEY", "secretKey": "$POS3_TEST_SECRET_KEY"}],
      "actions": ["Admin", "Read", "Write", "List", "Tagging"]
    }
  ]
}
JSON

# Small volumes, many of them: a collection takes seven at once, and a volume's file grows only with what is in it.
exec weed mini -dir "$directory" -ip 127.0.0.1 -ip.bind 127.0.0.1 \
    -master.port "$master" -volume.port "$volume" -filer.port "$filer" \
    -admin.port "$admin" -admin.ui=false -debug.port "$debug" -webdav=false \
    -s3.port "$port" -s3.port.grpc "$s3_grpc" -s3.port.iceberg 0 -s3.port.lance 0 \
    -s3.config "$directory/s3.json" -s3.domainName localhost -s3.allowDeleteBucketNotEmpty=false \
    -master.telemetry=false

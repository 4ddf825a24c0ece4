#!/usr/bin/env bash
# Serves S3 with Ceph's object gateway on 127.0.0.1 in the foreground: radosgw.sh DIRECTORY PORT
# A whole cluster of one monitor, one object daemon that keeps everything in memory, and the gateway. Needs Debian's packages
#   radosgw ceph-osd ceph-mon ceph-common
# The keys are those of POS3_TEST_ACCESS_KEY and POS3_TEST_SECRET_KEY. The daemons end with this script's process group.
set -euo pipefail

directory=$1 port=$2
monitor=$("$(dirname "$0")/free-ports" 1)
mkdir -p "$directory"/{mon,osd,log,run}
cd "$directory"

# Without authentication inside the cluster the messages must be plain, or the gateway waits for a key for ever.
cat >ceph.conf <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = [v2:127.0.0.1:$monitor/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
ms client mode = crc
ms cluster mode = crc
ms service mode = crc
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail warn = 2
mon data avail crit = 1
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd objectstore = memstore
memstore device bytes = 4294967296
osd data = $directory/osd
mon data = $directory/mon
run dir = $directory/run
admin socket = $directory/run/\$name.\$pid.asok
log file = $directory/log/\$name.log
rgw dns name = localhost
CONF
export CEPH_CONF=$directory/ceph.conf

# Any well-formed key does, as nobody asks for it: type, time, length, and sixteen bytes.
key=$({ printf '\1\0\0\0\0\0\0\0\0\0\20\0' && head -c 16 /dev/urandom; } | base64)
printf '[client.rgw]\n\tkey = %s\n' "$key" >keyring

# Waits until a command succeeds, or fails after a minute.
await() {
    local tries=200
    until "$@" >/dev/null 2>&1; do
        ((tries -= 1)) || { echo "gave up: $*" >&2 && return 1; }
        sleep 0.3
    done
}

monmaptool --create --fsid "$(ceph-conf --lookup fsid)" --addv a "[v2:127.0.0.1:$monitor/0]" monmap
ceph-mon --mkfs -i a --monmap monmap --keyring /dev/null
ceph-mon -f -i a &
await timeout 5 ceph osd stat

ceph osd create
ceph-osd -i 0 --mkfs
ceph osd crush add osd.0 1.0 root=default host=local
ceph-osd -f -i 0 &
await sh -c "timeout 5 ceph osd stat | grep -q '1 up'"

radosgw-admin user create --uid=tests --display-name=tests \
    --access-key="$POS3_TEST_ACCESS_KEY" --secret-key="$POS3_TEST_SECRET_KEY"
exec radosgw -f -n client.rgw --keyring="$directory/keyring" --rgw-data="$directory/run" \
    --rgw-frontends="beast endpoint=127.0.0.1:$port tcp_nodelay=1"

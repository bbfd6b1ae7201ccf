#!/bin/sh
# Prints the lines of a board as they come, with nothing but curl: follow.sh BOARD [URL]
# Each event has the offset of its line as its id: curl -H "Last-Event-ID: OFFSET" goes on behind it.
set -eu
board=$1
url=${2:-http://127.0.0.1:8124}
curl --no-buffer --silent --show-error --fail --get --data-urlencode "client=$board" \
    -H "Accept: text/event-stream" "$url/api/v1/lines" |
    sed -u -n '/^event: line$/{n;s/^data: *//p;}'

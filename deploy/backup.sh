#!/bin/sh
# Makes a backup in /backups while the server runs. The copy is read back before it gets its name; only
# then are backups older than two weeks removed, and the remains of a backup that was killed.
set -eu
deno task -q backup "/backups/$(date -u +%Y%m%dT%H%M%SZ).keyline"
find /backups -name '*.keyline' -mtime +14 -delete
find /backups -name '*.keyline.new' -mtime +0 -delete

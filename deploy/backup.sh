#!/bin/sh
# A backup in /backups, beside the running server. The copy is read back before it has its name; only
# then those older than two weeks go, and what a backup that was killed has left.
set -eu
deno task -q backup "/backups/$(date -u +%Y%m%dT%H%M%SZ).keyline"
find /backups -name '*.keyline' -mtime +14 -delete
find /backups -name '*.keyline.new' -mtime +0 -delete

#!/bin/sh
# Replaces the table with a backup: restore.sh FILE. The server must be stopped. The previous table
# stays beside the new one, under the name that is printed.
set -eu
table=$KEYLINE_DATA
if [ -d "$table" ]; then
  # The server locks its folder in the same way.
  exec 9<"$table"
  flock --nonblock 9 || { echo "A server uses $table: stop it first." >&2; exit 1; }
fi
rm -rf "$table.new" # what a restore that was killed has left
deno task -q restore "$1" --data "$table.new"
if [ -d "$table" ]; then
  old=$table.$(date -u +%Y%m%dT%H%M%SZ)
  mv -T "$table" "$old"
  echo "What was there before is in $old"
fi
mv -T "$table.new" "$table"

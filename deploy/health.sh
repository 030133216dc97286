#!/bin/bash
# Whether the server in this container can commit. Bash asks by itself: a process of Deno each time
# would cost more than a server that has nothing to do.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$KEYLINE_ADMIN"
printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
read -r -t 4 _ code _ <&3
[ "$code" = 200 ]

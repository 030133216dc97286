#!/bin/bash
# Whether the server in this container can commit. Plain bash, because a Deno process for each check
# would cost more than an idle server.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$KEYLINE_ADMIN"
printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
read -r -t 4 _ code _ <&3
[ "$code" = 200 ]

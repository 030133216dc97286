/**
 * The admin port: metrics, health, the live page and a key browser, over HTTP. `main.ts` opens it if
 * `--admin` is given. It only reads, and is separate from the protocol: nothing in a request's path knows
 * about it.
 *
 * It uses `node:http` rather than `Deno.serve`, which lets a client take as long as it likes over its header,
 * and does not limit the number of clients.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { logEvent, logFault } from "../server/observe/event_log.ts";
import type { AdminServer, ServerParts } from "../server/server.ts";
import { WrongPasswords } from "../server/dispatch/wrong_passwords.ts";
import { REAL_TIME } from "../server/time.ts";
import { StartError } from "../server/settings/settings.ts";
import { refusalOf } from "./access.ts";
import { type HttpResponse, plain, send } from "./http_response.ts";
import { exposition, EXPOSITION_TYPE } from "./exposition.ts";
import { isReady } from "./health.ts";
import { keysPage, valueOf } from "./keys.ts";
import { Live } from "./live.ts";
import { loadFiles } from "./files.ts";
import { ConnectionLimit } from "./connection_limit.ts";

/** How long a client may take over its header and its whole request, and be silent between two. */
const TIMES_MS = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
} as const;
const HEADER_BYTES_MAX = 16_384;

/** Opens the admin port. Throws StartError if it can't. */
export async function openAdminServer(parts: ServerParts): Promise<AdminServer> {
  const { services, settings: { adminHost, adminPort } } = parts;
  const files = await loadFiles();
  const live = new Live(services);
  const limit = new ConnectionLimit();
  const handle = handlerOf(parts, { files, live, limit });
  const server = createServer({ ...TIMES_MS, maxHeaderSize: HEADER_BYTES_MAX }, handle);
  server.on("connection", (socket) => limit.take(socket));
  await listen(server, { host: adminHost, port: adminPort! });
  live.start();
  const { port } = server.address() as AddressInfo;
  const name = adminHost.includes(":") && !adminHost.startsWith("[") ? `[${adminHost}]` : adminHost;
  return {
    url: `http://${name}:${port}/`,
    close() {
      live.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Answers one request after another. Never throws. */
function handlerOf(
  parts: ServerParts,
  { files, live, limit }: {
    files: ReadonlyMap<string, HttpResponse>;
    live: Live;
    limit: ConnectionLimit;
  },
): Handler {
  const { services, settings } = parts;
  const answers = new Map<string, (query: URLSearchParams) => HttpResponse | Promise<HttpResponse>>(
    [
      ...[...files].map(([path, file]) => [path, () => file] as const),
      ["/metrics", () => ({ status: 200, type: EXPOSITION_TYPE, body: exposition(services) })],
      ["/api/keys", (query) => keysPage(query, parts)],
      ["/api/value", (query) => valueOf(query, parts)],
    ],
  );
  const wrongPasswords = new WrongPasswords(REAL_TIME);
  const open = new Map<string, () => HttpResponse>([
    ["/healthz", () => plain(200, "alive")],
    ["/readyz", () => isReady(services)],
  ]);
  const busy = new WeakSet<Socket>();
  return async (request, response) => {
    // Requests after an unanswered one would fill memory with answers without bound, and a body would
    // be read without end. Neither browsers nor Prometheus send either.
    const { socket } = request;
    if (busy.has(socket) || hasBody(request)) return void socket.destroy();
    busy.add(socket);
    limit.take(socket);
    response.on("finish", () => busy.delete(socket));
    try {
      const url = URL.parse(request.url ?? "/", "http://admin");
      if (url === null) return send(response, plain(400, "This is not a path."));
      const { pathname, searchParams } = url;
      if (request.method !== "GET" && request.method !== "HEAD") {
        return send(
          response,
          plain(405, "Only GET and HEAD are answered: nothing is changed here."),
        );
      }
      const health = open.get(pathname);
      if (health !== undefined) return send(response, health());
      const refusal = await refusalOf(request, {
        ...services,
        host: settings.adminHost,
        wrongPasswords,
      });
      if (refusal !== undefined) return send(response, refusal);
      if (pathname === "/events") {
        // Watchers have a separate limit.
        limit.leave(socket);
        response.on("finish", () => limit.take(socket));
        return live.join(request, response);
      }
      const answer = answers.get(pathname);
      send(response, await answer?.(searchParams) ?? plain(404, "There is nothing here."));
    } catch (error) {
      logFault("Cannot answer a request on the admin port", error);
      if (!response.headersSent) send(response, plain(500, "The server failed; its log says why."));
    }
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (error: Error & { code?: string }) => {
    const mend = error.code === "EADDRINUSE"
      ? "another program is listening there. Stop it, or choose another port with --admin."
      : `${error.message}. Choose an address and a port of this machine with --admin-host and --admin.`;
    reject(
      new StartError(`Cannot open the admin port on ${host}:${port}: ${mend}`, { cause: error }),
    );
  });
  server.listen({ host: host.replace(/^\[|\]$/g, ""), port }, () => {
    server.removeAllListeners("error");
    server.on("error", (error) => logEvent("error", "The admin port failed", { error }));
    resolve();
  });
  return promise;
}

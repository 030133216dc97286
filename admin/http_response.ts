/**
 * HTTP responses of the admin port, with the headers that all of them have.
 *
 * @module
 */

import type { ServerResponse } from "node:http";

/** A response that is ready to be sent. */
export interface HttpResponse {
  /** The status code of HTTP. */
  readonly status: number;
  /** The media type. */
  readonly type: string;
  /** The whole body. */
  readonly body: string;
  /** Headers besides those that every response has. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * What every response tells a browser: run and load nothing from other sites, and let no other page show or
 * read this one. Trusted types make it an error to use a text as HTML.
 */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

/** A line of text, for a person or a probe. */
export function plain(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return { status, type: "text/plain; charset=utf-8", body: `${text}\n`, headers };
}

/** An object, for the scripts of the page. */
export function json(status: number, value: unknown): HttpResponse {
  return { status, type: "application/json", body: JSON.stringify(value) };
}

/** Sends a whole response, without its body if only the head was requested. */
export function send(
  response: ServerResponse,
  { status, type, body, headers }: HttpResponse,
): void {
  const bytes = new TextEncoder().encode(body);
  response.writeHead(status, {
    ...SAFE_HEADERS,
    ...headers,
    "content-type": type,
    "content-length": bytes.length,
  });
  response.end(response.req.method === "HEAD" ? undefined : bytes);
}

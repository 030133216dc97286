/**
 * A server that speaks TLS, and its clients. `openssl` makes the certificates.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ROOT, ServerProcess, tempFolder } from "./harness.ts";
import { eventually } from "./waiting.ts";

/** A server that speaks TLS, the folder of its certificate, and how to reach it. */
export class TlsServer implements AsyncDisposable {
  readonly process: ServerProcess;
  readonly folder: string;

  private constructor(process: ServerProcess, folder: string) {
    this.process = process;
    this.folder = folder;
  }

  static async start(flags: readonly string[]): Promise<TlsServer> {
    const folder = tempFolder();
    await makeCertificate(folder, "first");
    const args = [...flagsFor(folder), ...flags];
    return new TlsServer(await ServerProcess.start({ args }), folder);
  }

  get port(): number {
    return this.process.port;
  }

  get flags(): string[] {
    return flagsFor(this.folder);
  }

  /** Opens a connection that trusts the certificate of the folder as it is now. */
  connect(): Promise<TlsClient> {
    return TlsClient.connect(this.port, Deno.readTextFileSync(`${this.folder}/cert.pem`));
  }

  /** The subject of the certificate that a new client is shown. */
  async subject(): Promise<string | undefined> {
    const { stdout } = await run("sh", [
      "-c",
      `openssl s_client -connect 127.0.0.1:${this.port} </dev/null 2>/dev/null |
       openssl x509 -noout -subject`,
    ]);
    return /^subject=(.*)$/m.exec(stdout)?.[1];
  }

  /** Waits until the server has printed a text after this place of its output. */
  async printed(text: string, from = 0): Promise<void> {
    await eventually(`it prints "${text}"`, () => this.process.output.includes(text, from));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/** A client on a TLS socket. Every wait is bounded. */
export class TlsClient implements Disposable {
  readonly #socket: Deno.TlsConn;
  readonly #decoder = new TextDecoder();
  #received = "";

  private constructor(socket: Deno.TlsConn) {
    this.#socket = socket;
  }

  static async connect(port: number, caCert: string): Promise<TlsClient> {
    const options = { hostname: "127.0.0.1", port, caCerts: [caCert] };
    return new TlsClient(await Deno.connectTls(options));
  }

  async send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  /** The next line without its CR LF; undefined at the end of the stream. */
  async line(): Promise<string | undefined> {
    const buffer = new Uint8Array(65_536);
    const timer = setTimeout(() => this[Symbol.dispose](), 10_000);
    let end: number;
    try {
      while ((end = this.#received.indexOf("\r\n")) < 0) {
        const length = await this.#socket.read(buffer);
        if (length === null) break;
        this.#received += this.#decoder.decode(buffer.subarray(0, length), { stream: true });
      }
    } finally {
      clearTimeout(timer);
    }
    if (end < 0) return undefined;
    const line = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 2);
    return line;
  }

  async ask(line: string): Promise<string | undefined> {
    await this.send(`${line}\r\n`);
    return await this.line();
  }

  [Symbol.dispose](): void {
    try {
      this.#socket.close();
    } catch {
      // It is closed already.
    }
  }
}

function flagsFor(folder: string): string[] {
  return ["--tls-cert", `${folder}/cert.pem`, "--tls-key", `${folder}/key.pem`];
}

/** Makes cert.pem and key.pem in a folder, in place of those that are there. */
export async function makeCertificate(folder: string, name: string): Promise<void> {
  const { code, stderr } = await run("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
    ..."-addext basicConstraints=critical,CA:FALSE".split(" "),
    ..."-addext subjectAltName=IP:127.0.0.1,DNS:localhost".split(" "),
    ...`-subj /CN=${name} -keyout ${folder}/key.pem -out ${folder}/cert.pem`.split(" "),
  ]);
  assertEquals(code, 0, stderr);
}

/** Runs a program to its end. */
export async function run(
  program: string,
  args: string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd: ROOT }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

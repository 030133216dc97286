/**
 * The container image as far as it can be had without an engine: a folder with what the Dockerfile copies,
 * in which its commands run, with its variables. What is absolute in the image is in that folder here.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname } from "node:path";
import { ROOT, startFlags, tempFolder } from "../support/harness.ts";

/** The text of a file in deploy/. */
export function read(name: string): string {
  return Deno.readTextFileSync(new URL(`deploy/${name}`, ROOT));
}

/** What came of a command in the image. */
export interface Ran {
  readonly code: number;
  readonly stderr: string;
}

/** A server that was started as the image starts it. */
export interface ImageServer extends AsyncDisposable {
  /** The address of its admin port. */
  readonly admin: string;
  /** The port for clients. */
  readonly port: number;
  /** Stops it as the engine does. */
  stop(): Promise<void>;
}

/** What is in the image, in a folder. Use it with `using`. */
export class Image implements Disposable {
  readonly #dockerfile = read("Dockerfile");
  /** The folder; the paths of the image lie below it. */
  readonly folder = tempFolder();

  constructor() {
    const copied = [...this.#dockerfile.matchAll(/^COPY --chown=\S+ (.+) (\S+)$/gm)];
    assert(copied.length > 5, "it copies");
    for (const [, names, target] of copied) {
      const to = `${this.folder}/${target}`;
      const [first, ...others] = names!.split(" ");
      const isFolder = others.length === 0 && Deno.statSync(new URL(first!, ROOT)).isDirectory;
      Deno.mkdirSync(to, { recursive: true });
      const args = isFolder ? ["-r", `${first}/.`, to] : [first!, ...others, to];
      const { success } = new Deno.Command("cp", { args, cwd: ROOT.pathname }).outputSync();
      assert(success, names);
    }
    for (const name of [...Deno.readDirSync(`${this.folder}/deploy`)].map(({ name }) => name)) {
      const path = `${this.folder}/deploy/${name}`;
      const text = Deno.readTextFileSync(path);
      Deno.writeTextFileSync(path, text.replaceAll("/backups", `${this.folder}/backups`));
    }
    const [, folders] = /^RUN install -d \S+ \S+ \S+ \S+ -m 0700 (\/\S+ \/\S+)/m.exec(
      this.#dockerfile,
    )!;
    for (const path of folders!.split(" ")) Deno.mkdirSync(this.folder + path, { mode: 0o700 });
  }

  /** The variables that the image sets. */
  get variables(): Record<string, string> {
    const set = this.#dockerfile.matchAll(/(KEYLINE_[A-Z]+)=(\S+)/g);
    return Object.fromEntries([...set].map(([, name, value]) => [name!, value!]));
  }

  /** Where its table is, within the folder. */
  get table(): string {
    return this.folder + this.variables.KEYLINE_DATA;
  }

  /** Fetches the packages as the image does, while it is built. */
  async fetch(): Promise<void> {
    const [, command] = /^RUN (deno .*)$/m.exec(this.#dockerfile)!;
    const { code, stderr } = await this.run(["sh", "-ec", command!]);
    assertEquals(code, 0, stderr);
  }

  /** Runs a command in it, as `docker exec` does. */
  async run([program, ...args]: readonly string[], env = {}): Promise<Ran> {
    const { code, stderr } = await new Deno.Command(program!, {
      args,
      cwd: this.folder,
      env: { ...this.#environment(), ...env },
      stdout: "null",
      stderr: "piped",
    }).output();
    return { code, stderr: new TextDecoder().decode(stderr) };
  }

  /** What it starts, on free ports. */
  command(env: Record<string, string>): Deno.Command {
    assertStringIncludes(this.#dockerfile, 'CMD ["task", "start"]');
    return new Deno.Command(Deno.execPath(), {
      args: ["run", ...startFlags(), "main.ts"],
      cwd: this.folder,
      env: { ...this.#environment(), KEYLINE_PORT: "0", KEYLINE_ADMIN: "0", ...env },
      stdout: "piped",
      stderr: "piped",
    });
  }

  /** Starts the server; its ports are in the first line of its log, which is JSON. */
  async start(env: Record<string, string> = { KEYLINE_PASSWORD: "sesame" }): Promise<ImageServer> {
    const child = this.command(env).spawn();
    const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let log = "";
    let started: { admin: string; port: number } | undefined;
    while (started === undefined) {
      const { value, done } = await lines.read();
      assert(!done, `it ends: ${log}`);
      log += value;
      const line = log.split("\n").slice(0, -1).find((line) => line.includes('"admin"'));
      if (line !== undefined) started = JSON.parse(line);
    }
    let isStopped = false;
    const stop = async () => {
      isStopped = true;
      child.kill("SIGTERM");
      while (!(await lines.read()).done);
      await child.stdout.cancel();
      assertEquals((await child.status).code, 0);
    };
    return {
      admin: started.admin,
      port: started.port,
      stop,
      async [Symbol.asyncDispose]() {
        if (!isStopped) await stop();
      },
    };
  }

  #environment(): Record<string, string> {
    const path = `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`;
    return { PATH: path, NO_COLOR: "1", ...this.variables, KEYLINE_DATA: this.table };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

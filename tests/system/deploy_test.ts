/**
 * Holds the files of `deploy/` to the server: every option in them exists, what the image copies is
 * enough to start, its health check tells, and systemd finds nothing wrong with the units.
 *
 * The image itself is not built here, and the units are not started.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname } from "node:path";
import { OPTIONS, variableOf } from "../../server/settings.ts";
import {
  ROOT,
  runServer,
  ServerProcess,
  startFlags,
  tempFolder,
  testServer,
  testWith,
  testWithProgram,
} from "../support/harness.ts";
import { argumentsOf } from "../tools/tool.ts";

const FILES = ["Dockerfile", "keyline.service", "keyline-backup.service", "keyline-backup.timer"];

testWith(["read"], "every variable in deploy/ and on its page is an option", () => {
  const known = new Set([...Object.keys(OPTIONS).map(variableOf), "KEYLINE_PASSWORD"]);
  for (
    const text of [...FILES.map(read), Deno.readTextFileSync(new URL("docs/service.md", ROOT))]
  ) {
    for (const name of text.match(/KEYLINE_[A-Z_]+/g) ?? []) assert(known.has(name), name);
  }
});

testWith(["read"], "the image has the version of Deno that everything else has", () => {
  const [, version] = /^FROM denoland\/deno:(\S+)$/m.exec(read("Dockerfile")) ?? [];
  assertStringIncludes(Deno.readTextFileSync(new URL("README.md", ROOT)), `deno@${version} `);
  assertStringIncludes(Deno.readTextFileSync(new URL(".ci/run", ROOT)), `deno@${version}"`);
});

testWith(["read"], "the page builds and starts the image as its file says", () => {
  const page = Deno.readTextFileSync(new URL("docs/service.md", ROOT));
  assertStringIncludes(page, "docker build -t keyline -f deploy/Dockerfile .");
  assertStringIncludes(read("Dockerfile"), "docker build -t keyline -f deploy/Dockerfile .");
  for (const name of FILES.slice(1)) {
    const pattern = name.replace(/^keyline-backup\..*/, "keyline-backup.*");
    assertStringIncludes(page, `deploy/${pattern}`);
  }
});

testServer("what the image copies is enough to start, and its health check tells", async () => {
  using image = new Image();
  await image.fetch();
  await using server = image.start();
  const healthy = await check(server.admin);
  assertEquals(healthy, 0);
  assertEquals((await image.backUp().output()).code, 0);
  await server.stop();
  assertEquals(await check(server.admin), 1, "nobody answers");
});

testServer("the image refuses to serve everybody without a password", async () => {
  using image = new Image();
  const { code, stderr } = await image.command({ KEYLINE_PASSWORD: "" }).output();
  assertEquals(code, 2);
  assertStringIncludes(
    new TextDecoder().decode(stderr),
    "Cannot listen on 0.0.0.0 without a password",
  );
});

testWithProgram("systemd-analyze", "systemd finds nothing wrong with the units", async () => {
  const folder = tempFolder();
  try {
    const units = FILES.filter((name) => name !== "Dockerfile");
    for (const name of units) {
      // What the units start need not be installed where they are checked.
      const text = read(name).replaceAll("/usr/local/bin/keyline", "/bin/true");
      Deno.writeTextFileSync(`${folder}/${name}`, text);
    }
    const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", {
      args: ["verify", "--man=no", ...units.map((name) => `${folder}/${name}`)],
    }).output();
    const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
    // It also tells of other units of the machine.
    const ours = said.split("\n").filter((line) => line.includes("keyline"));
    assertEquals([code, ours], [0, []], said);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

testServer("the nightly backup can be restored, and only then the old ones go", async () => {
  const folder = tempFolder();
  await using server = await ServerProcess.start();
  const unit = read("keyline-backup.service");
  assertStringIncludes(unit, "Type=oneshot\n", "what follows a start that fails is not run");
  const shim = `${folder}/keyline`;
  const run = (name: string, data: string) => {
    const commands = [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, line]) =>
      line!.replaceAll("%%", "%").replaceAll("$$", "$").replace("/usr/local/bin/keyline", shim)
        .replaceAll("/var/backups/keyline", folder)
    );
    assert(commands.length > 0, name);
    return new Deno.Command("sh", {
      args: ["-c", commands.join(" && ")],
      env: { KEYLINE_DATA: data },
      stderr: "piped",
    }).output();
  };
  const args = [Deno.execPath(), "run", ...startFlags(), `${ROOT.pathname}main.ts`];
  Deno.writeTextFileSync(shim, `#!/bin/sh\nexec ${args.join(" ")} "$@"\n`, { mode: 0o700 });
  const aged = (name: string, days: number) => {
    Deno.writeTextFileSync(`${folder}/${name}`, "x");
    Deno.utimeSync(`${folder}/${name}`, Date.now() / 1_000, Date.now() / 1_000 - days * 86_400);
  };
  aged("old.keyline", 15.5);
  aged("young.keyline", 13);
  aged("killed.keyline.new", 1.5);
  aged("begun.keyline.new", 0);
  const before = namesIn(folder);
  assertEquals((await run("ExecStart", `${folder}/none`)).code, 1);
  assertEquals(namesIn(folder), before, "a backup that fails leaves nothing");
  using client = await server.connect();
  assertEquals(await client.ask("PUT key value"), "200 OK");
  assertEquals((await run("ExecStart", server.data)).code, 0);
  const [name] = namesIn(folder).filter((name) => !before.includes(name));
  assertMatch(name!, /^\d{8}T\d{6}Z\.keyline$/);
  assertEquals((await run("ExecStartPost", server.data)).code, 0);
  const left = [name!, "begun.keyline.new", "keyline", "young.keyline"];
  assertEquals(namesIn(folder), left.toSorted());
  const restore = ["restore", `${folder}/${name}`, "--data", `${folder}/new`];
  assertEquals((await runServer(restore)).code, 0);
  Deno.removeSync(folder, { recursive: true });
});

/** What is in the image, in a folder. Use it with `using`. */
class Image implements Disposable {
  readonly #folder = tempFolder();

  constructor() {
    const copied = [...read("Dockerfile").matchAll(/^COPY --chown=\S+ (.+) (\S+)$/gm)];
    assert(copied.length > 5, "it copies");
    for (const [, names] of copied) {
      const args = ["-r", ...names!.split(" "), this.#folder];
      const { success } = new Deno.Command("cp", { args, cwd: ROOT.pathname }).outputSync();
      assert(success, names);
    }
    Deno.mkdirSync(`${this.#folder}/data`);
  }

  /** Fetches the packages as the image does, while it is built. */
  async fetch(): Promise<void> {
    const [, command] = /^RUN (deno .*)$/m.exec(read("Dockerfile"))!;
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-ec", command!],
      cwd: this.#folder,
      env: { PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  }

  /** What the image runs, with the variables that it sets, but for ports and folder. */
  command(env: Record<string, string>): Deno.Command {
    const text = read("Dockerfile");
    assertStringIncludes(text, 'CMD ["task", "start"]');
    const set = text.matchAll(/(KEYLINE_[A-Z]+)=(\S+)/g);
    return new Deno.Command(Deno.execPath(), {
      args: ["run", ...startFlags(), "main.ts"],
      cwd: this.#folder,
      env: {
        ...Object.fromEntries([...set].map(([, name, value]) => [name!, value!])),
        KEYLINE_DATA: `${this.#folder}/data`,
        KEYLINE_PORT: "0",
        KEYLINE_ADMIN: "0",
        ...env,
      },
      stdout: "piped",
      stderr: "piped",
    });
  }

  /** Copies its table, as the page does with `docker exec`. */
  backUp(): Deno.Command {
    const page = Deno.readTextFileSync(new URL("docs/service.md", ROOT));
    assertStringIncludes(page, "docker exec keyline deno task -q backup /tmp/copy.keyline");
    return new Deno.Command(Deno.execPath(), {
      args: [...argumentsOf("backup"), `${this.#folder}/copy.keyline`],
      cwd: this.#folder,
      env: { KEYLINE_DATA: `${this.#folder}/data` },
      stderr: "null",
    });
  }

  /** Starts it. The port for health is known once it has started, which is a line of JSON. */
  start() {
    const child = this.command({ KEYLINE_PASSWORD: "sesame" }).spawn();
    const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    const stop = async () => {
      child.kill("SIGTERM");
      while (!(await reader.read()).done);
      await child.stdout.cancel();
      assertEquals((await child.status).code, 0);
      stopped = true;
    };
    let stopped = false;
    return {
      admin: reader.read().then(({ value }) => new URL(JSON.parse(value!).admin).port),
      stop,
      async [Symbol.asyncDispose]() {
        if (!stopped) await stop();
      },
    };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** The exit code of the image's health check, at this port. */
async function check(port: Promise<string>): Promise<number> {
  const [, list] = /^ {2}CMD (\[.*\])$/m.exec(read("Dockerfile"))!;
  const [program, ...args] = JSON.parse(list!.replace("9395", await port));
  assertEquals(program, "deno");
  const { code } = await new Deno.Command(Deno.execPath(), { args, stderr: "null" }).output();
  return code;
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
}

function read(name: string): string {
  return Deno.readTextFileSync(new URL(`deploy/${name}`, ROOT));
}

/**
 * Makes the parts of a release in `dist/`: an executable for each system, the client as an npm package, and
 * their checksums. It also checks whether JSR would accept the client, and publishes nothing. Run it with
 * `deno task release`. It names what can't be made, with the reason, and makes the rest.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import client from "../client/deno.json" with { type: "json" };

/** The systems that Deno compiles for. */
export const TARGETS: readonly string[] = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
];
/** The names of the checksums' file and of the package of npm, as `npm pack` would name it. */
const CHECKSUMS = "SHA256SUMS";
const TARBALL = `${client.name.replace(/^@/, "").replace("/", "-")}-${client.version}.tgz`;

/** How to make a release. */
export interface ReleaseOptions {
  /** The root of the project, with its last slash. */
  readonly root: URL;
  /** Runs a program in a folder, and returns its output. Throws an Error that says why it failed. */
  readonly run: Run;
  /** Tells a person of each part. */
  say(line: string): void;
}

/** Runs a program with its arguments. */
export type Run = (
  command: readonly string[],
  options: { cwd: URL; env: Readonly<Record<string, string>> },
) => Promise<string>;

if (import.meta.main) {
  const root = new URL("../", import.meta.url);
  const env = Deno.env.toObject();
  const missing = await makeRelease({ root, run, say: console.log }, env);
  Deno.exit(missing === 0 ? 0 : 1);
}

/** Makes all parts, and returns how many could not be made. */
export async function makeRelease(
  { root, run, say }: ReleaseOptions,
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const dist = new URL("dist/", root);
  await removeAll(dist);
  await Deno.mkdir(dist);
  const parts = [
    ...TARGETS.map((target) => executableFor(target, { env, run, root })),
    {
      name: TARBALL,
      make: () =>
        run(["deno", "pack", "-q", "--no-source-maps", "-o", new URL(TARBALL, dist).pathname], {
          cwd: new URL("client/", root),
          env,
        }),
    },
    {
      name: `jsr:${client.name}@${client.version} (a trial)`,
      make: () =>
        run(["deno", "publish", "-q", "--dry-run"], { cwd: new URL("client/", root), env }),
    },
  ];
  let missing = 0;
  for (const { name, make } of parts) {
    try {
      await make();
      say(`made      ${name}`);
    } catch (error) {
      missing++;
      say(`NOT MADE  ${name}: ${(error as Error).message.replaceAll("\n", "\n          ")}`);
    }
  }
  await writeChecksums(dist);
  if (await exists(new URL(".jsr_away", root))) {
    say(
      "NOTE      JSR can't be reached: the executables have the stand-in of offline/ in its place",
    );
  }
  const made = parts.length - missing;
  say(`${made} of ${parts.length} parts are made: see dist/ and its ${CHECKSUMS}`);
  return missing;
}

interface Part {
  readonly name: string;
  make(): Promise<unknown>;
}

/** The executable for a system. One for this system must start, or it is not made. */
function executableFor(
  target: string,
  { env, run, root }: {
    env: Readonly<Record<string, string>>;
    run: Run;
    root: URL;
  },
): Part {
  const isOwn = target === Deno.build.target;
  const name = `keyline-${config.version}-${target}${target.includes("windows") ? ".exe" : ""}`;
  const command = config.tasks.compile.command
    .replace(/ --output \S+ /, ` --target ${target} --output dist/${name} `);
  return {
    name,
    async make() {
      // The runtime that DENORT_BIN names is one for this system, and Deno would put it into any executable.
      const { DENORT_BIN, ...others } = env;
      const runtime = isOwn && DENORT_BIN !== undefined ? { DENORT_BIN } : {};
      await run(["deno", "task", "-q", "--eval", command], {
        cwd: root,
        env: { ...others, ...runtime },
      });
      if (!isOwn) return;
      const file = new URL(`dist/${name}`, root);
      const said = await run([file.pathname, "--version"], { cwd: root, env: others });
      if (said.startsWith(`keyline ${config.version} `)) return;
      await Deno.remove(file);
      throw new Error(`it does not run: --version says "${said.split("\n")[0]}".`);
    },
  };
}

/** Writes the checksums of all files in a folder, as `sha256sum --check` reads them. */
async function writeChecksums(folder: URL): Promise<void> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
  const lines = await Promise.all(names.map(async (name) => {
    const bytes = await Deno.readFile(new URL(name, folder));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return `${digest.toHex()}  ${name}\n`;
  }));
  await Deno.writeTextFile(new URL(CHECKSUMS, folder), lines.join(""));
}

/** Runs a program; the variables are all that it has. */
export async function run(
  [program, ...args]: readonly string[],
  { cwd, env }: { cwd: URL; env: Readonly<Record<string, string>> },
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(
    program === "deno" ? Deno.execPath() : program!,
    { args, cwd, clearEnv: true, env: { ...env, NO_COLOR: "1" }, stdin: "null" },
  ).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (success) return out!;
  // What stands before is progress, and what follows is for those who work on Deno.
  const [, why] = /error: (.*?)\s*(Stack backtrace:|$)/s.exec(err!) ?? [];
  throw new Error(why ?? err!.trim());
}

async function exists(file: URL): Promise<boolean> {
  try {
    return (await Deno.stat(file)).isFile;
  } catch {
    return false;
  }
}

async function removeAll(folder: URL): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * The manifests for Compose and Kubernetes: each is YAML, every option in them exists, their parts fit
 * each other and the image, and a server that is started with them answers their probes.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Document, parseAllDocuments } from "npm:yaml@2.9.1";
import { OPTIONS, variableOf } from "../../server/settings/settings.ts";
import { ROOT, testServer, testWith } from "../support/harness.ts";
import { Image, read } from "./image.ts";

// deno-lint-ignore no-explicit-any
type Manifest = any;

const PAGE = "docs/service.md";
/** The types of Kubernetes, which name no other field than there is. */
const TYPES = `
import type { PersistentVolumeClaim, Service } from "npm:kubernetes-types@1.30.0/core/v1.d.ts";
import type { StatefulSet } from "npm:kubernetes-types@1.30.0/apps/v1.d.ts";
import type { CronJob, Job } from "npm:kubernetes-types@1.30.0/batch/v1.d.ts";
`;

testWith(["read"], "every variable in deploy/ and on its page is an option", () => {
  const known = new Set([...Object.keys(OPTIONS).map(variableOf), "KEYLINE_PASSWORD"]);
  const texts = [...filesIn(""), PAGE].map((name) => name === PAGE ? page() : read(name));
  const named = texts.flatMap((text) => text.match(/\bKEYLINE_[A-Z_]+/g) ?? []);
  assert(named.length > 10, "there are some");
  assertEquals(named.filter((name) => !known.has(name)), []);
});

testWith(["read"], "Compose runs what the image has, with what the server reads", () => {
  const [compose] = documentsOf("compose.yaml");
  const { keyline, backup, restore } = compose.services;
  assertStringIncludes(page(), `docker build -t ${keyline.image} -f deploy/Dockerfile .`);
  const { context, dockerfile } = keyline.build;
  assertEquals(dockerfile, "deploy/Dockerfile", "as seen from the root");
  assertEquals(new URL(`deploy/${context}/`, ROOT).href, ROOT.href);
  assertEquals([backup.image, restore.image], [keyline.image, keyline.image]);
  const port = OPTIONS.port.preset;
  assertEquals(keyline.ports, [`127.0.0.1:${port}:${port}`]);
  const [secret] = keyline.secrets;
  assertEquals(keyline.environment, { KEYLINE_PASSWORD_FILE: `/run/secrets/${secret}` });
  const { file } = compose.secrets[secret];
  const ignored = Deno.readTextFileSync(new URL(".gitignore", ROOT)).split("\n");
  assert(ignored.includes(`/deploy/${file}`), "nobody commits the password");
  assertStringIncludes(page(), `deploy/${file}`);
  for (const { volumes } of [keyline, backup, restore]) {
    for (const volume of volumes) assert(volume.split(":")[0] in compose.volumes, volume);
    assertEquals(volumes[0], "data:/data");
  }
  assertEquals([backup.volumes[1], restore.volumes[1]], [
    "backups:/backups",
    "backups:/backups:ro",
  ]);
  assertIsInImage(backup.command);
  assertIsInImage(restore.entrypoint);
});

testWith(["read"], "the parts of the manifests of Kubernetes name each other", () => {
  const [service, set] = documentsOf("kubernetes/keyline.yaml");
  const [claim, cron] = documentsOf("kubernetes/backup.yaml");
  const [job] = documentsOf("kubernetes/restore.yaml");
  const { labels } = set.spec.template.metadata;
  assertEquals([service.spec.selector, set.spec.selector.matchLabels], [labels, labels]);
  assertEquals(set.spec.serviceName, service.metadata.name);
  assertEquals([set.spec.replicas, service.spec.publishNotReadyAddresses], [1, true]);
  const [server] = set.spec.template.spec.containers;
  const ports = Object.fromEntries(
    server.ports.map((port: Manifest) => [port.name, port.containerPort]),
  );
  assertEquals(ports, { keyline: Number(OPTIONS.port.preset), admin: adminPort() });
  for (const { name, port, targetPort } of service.spec.ports) {
    assertEquals([targetPort, port], [name, ports[name]]);
  }
  const [template] = set.spec.volumeClaimTemplates;
  const volume = `${template.metadata.name}-${set.metadata.name}-0`;
  const pods = [cron.spec.jobTemplate.spec.template, job.spec.template];
  for (const { spec } of pods) {
    const claims = spec.volumes.map((volume: Manifest) => volume.persistentVolumeClaim.claimName);
    assertEquals(claims, [volume, claim.metadata.name]);
    const [{ args, volumeMounts }] = spec.containers;
    assertIsInImage(args);
    assertEquals(volumeMounts.map(({ mountPath }: Manifest) => mountPath), ["/data", "/backups"]);
  }
  const [affinity] = pods[0].spec.affinity.podAffinity
    .requiredDuringSchedulingIgnoredDuringExecution;
  assertEquals(affinity.labelSelector.matchLabels, labels, "it runs beside the server");
  for (const { metadata, spec } of [set.spec.template, ...pods]) {
    const [{ image }] = spec.containers;
    assertStringIncludes(page(), `docker build -t ${image} -f deploy/Dockerfile .`);
    assertEquals(metadata.labels.app === labels.app, spec === set.spec.template.spec);
    // A service named keyline would set KEYLINE_PORT to an address.
    assertEquals(spec.enableServiceLinks, false);
    const { runAsUser, fsGroup, fsGroupChangePolicy } = spec.securityContext;
    assertStringIncludes(read("Dockerfile"), `user, number ${runAsUser}:`);
    assertEquals([fsGroup, fsGroupChangePolicy], [runAsUser, "OnRootMismatch"]);
  }
});

testServer("with the manifest of Kubernetes it starts, and its probes are answered", async () => {
  using image = new Image();
  const [service, set] = documentsOf("kubernetes/keyline.yaml");
  const { spec } = set.spec.template;
  const [{ env, volumeMounts, ...container }] = spec.containers;
  const variables: Record<string, string> = Object.fromEntries(
    env.map(({ name, value }: Manifest) => [name, value]),
  );
  const mounted = volumeMounts.find(({ mountPath }: Manifest) =>
    variables.KEYLINE_PASSWORD_FILE!.startsWith(`${mountPath}/`)
  );
  const { secret } = spec.volumes.find(({ name }: Manifest) => name === mounted.name);
  const key = variables.KEYLINE_PASSWORD_FILE!.slice(mounted.mountPath.length + 1);
  assertStringIncludes(page(), `create secret generic ${secret.secretName} --from-literal=${key}=`);
  const file = `${image.folder}/${key}`;
  Deno.writeTextFileSync(file, "sesame");
  await using server = await image.start({ ...variables, KEYLINE_PASSWORD_FILE: file });
  const { port } = new URL(server.admin);
  const probes = Object.entries(container).filter(([name]) => name.endsWith("Probe"));
  assertEquals(probes.map(([name]) => name), ["startupProbe", "livenessProbe", "readinessProbe"]);
  for (const host of [`10.1.2.3:${port}`, `${service.metadata.name}.default.svc:${port}`]) {
    for (const [name, { httpGet }] of probes as [string, Manifest][]) {
      assertEquals(httpGet.port, "admin");
      assertEquals(await statusOf(port, { path: httpGet.path, host }), 200, `${name} ${host}`);
    }
    const path = "/metrics";
    const authorization = "Bearer sesame";
    assertEquals(await statusOf(port, { path, host, authorization }), 200, "Prometheus");
    assertEquals(await statusOf(port, { path, host }), 401);
  }
});

testServer("Kubernetes knows each field of its manifests", async () => {
  const objects = ["keyline", "backup", "restore"].flatMap((name) =>
    documentsOf(`kubernetes/${name}.yaml`)
  );
  const { success, stderr } = await checkTypes(objects);
  assert(success, stderr);
  const [service] = documentsOf("kubernetes/keyline.yaml");
  service.spec.publishNotReadyAddress = true;
  assertStringIncludes((await checkTypes([service])).stderr, "publishNotReadyAddress");
});

/** Checks objects against the types of Kubernetes, as the source of a program. */
async function checkTypes(
  objects: readonly Manifest[],
): Promise<{ success: boolean; stderr: string }> {
  const file = Deno.makeTempFileSync({ prefix: "keyline-test-", suffix: ".ts" });
  const constants = objects.map((object, i) =>
    `export const object${i}: ${object.kind} = ${JSON.stringify(object)};\n`
  );
  try {
    Deno.writeTextFileSync(file, TYPES + constants.join(""));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "-q", "--lock=tests/deno.lock", "--frozen", file],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
    }).output();
    return { success, stderr: new TextDecoder().decode(stderr) };
  } finally {
    Deno.removeSync(file);
  }
}

/** The status of an answer; fetch would set the name itself. */
async function statusOf(
  port: string,
  { path, ...headers }: { path: string; host: string; authorization?: string },
): Promise<number> {
  using socket = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = `GET ${path} HTTP/1.1\r\nconnection: close\r\n${lines.join("")}\r\n`;
  await socket.write(new TextEncoder().encode(request));
  const answer = await new Response(socket.readable).text();
  return Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1]);
}

/** Asserts that a command runs a script that the image copies. */
function assertIsInImage([shell, script]: readonly string[]): void {
  assertEquals(shell, "sh");
  assertStringIncludes(read("Dockerfile"), ` ${script} `);
}

function adminPort(): number {
  return Number(/KEYLINE_ADMIN=(\d+)/.exec(read("Dockerfile"))![1]);
}

function page(): string {
  return Deno.readTextFileSync(new URL(PAGE, ROOT));
}

/** The documents of a file of YAML. Throws what is wrong with it, such as a key that is there twice. */
function documentsOf(name: string): Manifest[] {
  const documents = parseAllDocuments(read(name), { version: "1.1", strict: true }) as Document[];
  for (const { errors, warnings } of documents) assertEquals([...errors, ...warnings], [], name);
  return documents.map((document) => document.toJS());
}

/** The names of all files in a folder of deploy/. */
function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(`deploy/${folder}`, ROOT))].flatMap((entry) =>
    entry.isDirectory ? filesIn(`${folder}${entry.name}/`) : [`${folder}${entry.name}`]
  );
}

/**
 * Runs the cases of snapshots and of deaths. The gRPC library reads the environment as soon as it is loaded, so that
 * without permission for that the cases can't even be imported.
 *
 * @module
 */

import { isGranted, SERVER_PERMISSIONS, testServer } from "../../support/harness.ts";

if (isGranted(SERVER_PERMISSIONS)) {
  await import("./snapshot_cases.ts");
  await import("./death_cases.ts");
  await import("./restore_cases.ts");
  await import("./catch_up_cases.ts");
  await import("./room_cases.ts");
  await import("./clock_cases.ts");
} else testServer("snapshots of a table in etcd", () => {});

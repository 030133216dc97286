/**
 * Runs the cases of calls and of the cluster. The gRPC library reads the environment as soon as
 * it is loaded, so that without permission for that the cases can't even be imported.
 *
 * @module
 */

import { isGranted, SERVER_PERMISSIONS, testServer } from "../../support/harness.ts";

if (isGranted(SERVER_PERMISSIONS)) {
  await import("./grpc_cases.ts");
  await import("./cluster_cases.ts");
  await import("./log_cases.ts");
  await import("./health_cases.ts");
} else {
  testServer("calls and the cluster of etcd", () => {});
}

import { trustedRoots } from '../../connectors/authorities.ts';
import { guardedAddresses } from '../../connectors/egress.ts';
import type { Outgoing } from '../../connectors/outgoing.ts';
import { sentTo } from '../../connectors/secret-hosts.ts';
import { compileTemplate, usedFor, type Variables } from '../../connectors/template.ts';
import { destinationOf } from '../../kernel/destination.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { RuntimeKinds } from '../../models/runtime-kind.ts';
import { createHttpRuntime, HTTP_KIND } from '../../serving/runtimes/http-runtime.ts';
import { createOipRuntime, OIP_KIND } from '../../serving/runtimes/oip-runtime.ts';
import { createOnnxRuntime } from '../../serving/runtimes/onnx-runtime.ts';
import type { RemoteAccess } from '../../serving/runtimes/remote.ts';
import type { Runtime } from '../../serving/runtimes/runtime.ts';

/** What each runtime asks of the definition of a model. */
export const RUNTIME_KINDS = { onnx: {}, oip: OIP_KIND, http: HTTP_KIND } satisfies RuntimeKinds;

/** The runtimes, by the names that definitions use. What leaves the process goes through the guard of the calls, and its allowances. */
export function createRuntimes(
  limits: Limits,
  outgoing: Outgoing,
  variables: Variables,
): Readonly<Record<string, Runtime>> {
  const access: RemoteAccess = {
    dispatcher: outgoing.agent,
    addresses: (hostname, port) =>
      guardedAddresses(hostname, outgoing.isAllowed(hostname, port), outgoing.resolve),
    roots: trustedRoots,
    fill: (text, url) =>
      compileTemplate(text, ['secrets']).resolve(usedFor(sentTo(destinationOf(url)), variables)),
  };
  const startMs = limits.replicaStartMs;
  const remote = { access, startMs, answerBytesMax: limits.remoteAnswerBytesMax };
  return {
    onnx: createOnnxRuntime({ startMs }),
    oip: createOipRuntime(remote),
    http: createHttpRuntime(remote),
  };
}

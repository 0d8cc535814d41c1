/**
 * `fetch` under certificate authorities of the caller's own. A file of its own, loaded with the first request: see
 * drivers/as/agent.ts. `fetch` and `Agent` are of one undici: the `fetch` of Node 20 does not work with an agent of undici 7.
 */
import { Agent, fetch as fetchOfUndici } from 'undici';

/** @param ca certificates in PEM, in place of those of the system */
export function fetchTrusting(ca: string): typeof fetch {
  const dispatcher = new Agent({ connect: { ca } });
  return async (input, init) => {
    const { method = 'GET', headers, body, redirect, signal } = init ?? {};
    const answer = await fetchOfUndici(String(input), {
      method,
      headers: Object.fromEntries(new Headers(headers)),
      dispatcher,
      ...(redirect === undefined ? {} : { redirect }),
      ...(signal === undefined || signal === null ? {} : { signal }),
      ...(body instanceof Uint8Array ? { body } : {}),
    });
    // One specification, two declarations of it: those of undici and those of @types/node.
    return answer as unknown as Response;
  };
}

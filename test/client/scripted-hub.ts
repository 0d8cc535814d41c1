/** A hub that answers from a script and remembers what it was asked. No sockets. */
import type { ClientEnvironment } from '../../src/client/environment.ts';
import { hex, sha256 } from '../../src/core/bytes.ts';
import { FakeTime } from '../fakes/fake-time.ts';

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly redirect: string | undefined;
}

export type Script = ((asked: Asked) => Response | Promise<Response>)[];

export function scriptedHub(...script: Script) {
  const asked: Asked[] = [];
  const time = new FakeTime();
  const environment: ClientEnvironment = {
    clock: time,
    timers: time,
    random: time,
    async fetch(input, init) {
      const body = init?.body;
      const request: Asked = {
        method: init?.method ?? 'GET',
        url: String(input),
        headers: new Headers(init?.headers),
        body: body instanceof Uint8Array ? body : new Uint8Array(0),
        redirect: init?.redirect,
      };
      asked.push(request);
      const answer = script[asked.length - 1];
      if (answer === undefined) throw new Error(`request ${asked.length} is not in the script`);
      return answer(request);
    },
  };
  return { asked, time, environment };
}

/** The JWT that the delivery is of: only its claims are read, and nothing of it is verified here. */
export const TOKEN_VALUE = `e30.${Buffer.from('{"aud":"https://tube-1.devices.example"}').toString('base64url')}.AA`;

export const DELIVERED = {
  delivery: 'd-1',
  state: 'delivered',
  device: 'tube-1',
  audience: 'https://tube-1.devices.example',
  token_hash: 'AAECAwQFBgc',
  cti: hex(sha256(TOKEN_VALUE).subarray(0, 16)),
  expires_at: 1_700_000_600,
  scope: 'read',
  device_code: '2.01',
  receipt: true,
  bytes: { jwt: 700, cwt: 120 },
  freshness: { keys_age: 3, clock: 'sure' },
} as const;

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });
}

export function problem(
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
  more = {},
): Response {
  const body = { type: `urn:latchkey:error:${code}`, title: code, status, code, id: 'r-1', ...more };
  return json(status, body, { 'content-type': 'application/problem+json', ...headers });
}

/** Moves the hand-moved time on until the promise has settled. */
export async function drive<T>(time: FakeTime, promise: Promise<T>): Promise<T> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => undefined);
  for (let turn = 0; turn < 1_000 && !settled; turn += 1) await time.advance(100);
  return watched;
}

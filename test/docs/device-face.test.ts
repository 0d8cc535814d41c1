/** The examples of docs/protocol.md, "A device's own HTTP face", held against what client and device really send. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveDeviceFace } from '../../drivers/http/device-face.ts';
import { systemRandom } from '../../drivers/system-time.ts';
import { DpopKey } from '../../src/client/dpop-key.ts';
import { ConnectedDevice, dpopToken, systemEnvironment } from '../../src/client/index.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { ConnectedDevice as SimulatedDevice } from '../../src/sim/connected-device.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { HubOfDevice } from '../fixtures/hub-of-device.ts';

const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
/** Headers that every HTTP message has, and no example repeats. */
const PLAIN = /^(host|connection|date|keep-alive|content-length|transfer-encoding|cache-control|x-request-id)$/;
/** Headers that say the same each time. */
const FIXED = /^(content-type|www-authenticate)$/;

interface Exchange {
  readonly request: string;
  readonly status: number;
  readonly requestHeaders: readonly string[];
  readonly headers: readonly string[];
  readonly members: readonly string[];
}

const exchanges: Exchange[] = [];
let close: () => Promise<void> = async () => undefined;

beforeAll(async () => {
  const hub = new HubOfDevice();
  hub.keysExpireAt = 4_000_000_000;
  let asked = 0;
  hub.answer = (question) => {
    asked += 1;
    return asked === 1 ? { active: false, code: 'proof_nonce_required', freshness: undefined } : hub.admit(question);
  };
  const { clock, random } = systemEnvironment;
  const face = new SimulatedDevice({
    credentials: hub.credentials,
    policy: { scope: 'read', takesStale: false },
    ask: hub.ask,
    clock,
    random,
  });
  const served = await serveDeviceFace({ host: '127.0.0.1', port: 0, face, random: systemRandom, log: new QuietLog() });
  close = served.close;
  const record: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    exchanges.push(await seen(String(input), init, answer.clone()));
    return answer;
  };
  const environment = { ...systemEnvironment, fetch: record };
  const device = new ConnectedDevice({ url: served.address, audience: hub.credentials.audience, environment });
  const session = await device.open('readings', dpopToken('mF_9.B5f-4.1JqM', await DpopKey.generate()));
  await session.exchange(utf8('read'));
});

afterAll(() => close());

async function seen(url: string, init: RequestInit | undefined, answer: Response): Promise<Exchange> {
  const isJson = /json/.test(answer.headers.get('content-type') ?? '');
  return {
    request: `${init?.method} ${new URL(url).pathname.replace(/^(\/sessions\/).+/, '$1…')}`,
    status: answer.status,
    requestHeaders: headerLines(new Headers(init?.headers)),
    headers: headerLines(answer.headers),
    members: isJson ? Object.keys((await answer.json()) as object) : [],
  };
}

function documented(name: string): Exchange {
  const [, body] = new RegExp(`^\`\`\`http ${name}\n([^\`]*)^\`\`\`$`, 'm').exec(text) ?? [];
  if (body === undefined) throw new Error(`no example ${name}`);
  const [request = '', answer = '', json] = body.split('\n\n');
  const [requestLine = '', ...requestHeaders] = request.trim().split('\n');
  const [statusLine = '', ...headers] = answer.trim().split('\n');
  return {
    request: requestLine.replace(/ HTTP\/1\.1$/, '').replace(/(\/sessions\/).+/, '$1…'),
    status: Number(statusLine.split(' ')[1]),
    requestHeaders: headerLines(headersOf(requestHeaders)),
    headers: headerLines(headersOf(headers)),
    members: json === undefined ? [] : Object.keys(JSON.parse(json) as object),
  };
}

function headersOf(lines: readonly string[]): Headers {
  return new Headers(lines.map((line) => line.split(/: (.*)/s, 2) as [string, string]).map(([n, v]) => [n, ascii(v)]));
}

/** An ellipsis stands for the rest of a token. */
function ascii(value: string): string {
  return value.replaceAll('…', '');
}

function headerLines(headers: Headers): readonly string[] {
  return [...headers].flatMap(([name, value]) =>
    PLAIN.test(name) ? [] : [FIXED.test(name) ? `${name}: ${value}` : name],
  );
}

test.each([
  [0, 'face-nonce'],
  [1, 'face-admitted'],
  [2, 'face-message'],
])('exchange %i is as the example %s has it', (index, name) => {
  expect(exchanges[index]).toEqual(documented(name));
});

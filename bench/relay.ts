/** A question relayed to the AS, against the same POST by bare node:http over connections that are kept. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { connectAuthorizationServer, INTROSPECTION_CONNECTIONS } from '../drivers/as/authorization-server.ts';
import { monotonic, systemRandom, systemTimers } from '../drivers/system-time.ts';
import { base64url, sha256 } from '../src/core/bytes.ts';
import type { Clock } from '../src/core/clock.ts';
import { Secret } from '../src/core/secret.ts';
import { clientAuthentication } from '../src/pop/introspection/client-authentication.ts';
import { Introspector } from '../src/pop/introspection/introspector.ts';
import type { Log } from '../src/ports/log.ts';
import { type Effort, type Figure, quantile } from './harness.ts';
import { ISSUER, NOW } from './reference-token.ts';

const CLIENT = { id: 'hub', secret: 'a-secret-of-the-bench' } as const;
/** Devices that ask at once. */
const ASKING = INTROSPECTION_CONNECTIONS;
/** Questions of a round, in batches of the effort: a round must outlast the noise of a scheduler. */
const BATCHES = 10;

const ANSWER = {
  active: true,
  iss: ISSUER,
  sub: 'doctor-7',
  aud: 'https://ekg-1.devices.example',
  client_id: 'doctor-app',
  scope: 'read configure',
  token_type: 'DPoP',
  iat: NOW - 10,
  exp: NOW + 600,
  cnf: { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' },
};

/** Says of every token that it is active; prints its port. */
const SERVER = `
import { createServer } from 'node:http';
const answer = ${JSON.stringify(JSON.stringify(ANSWER))};
const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
const server = createServer((request, response) => {
  request.resume();
  request.once('end', () => response.writeHead(200, headers).end(answer));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

export async function relayFigures(effort: Effort): Promise<readonly Figure[]> {
  const server = spawn(process.execPath, ['--input-type=module', '-e', SERVER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(server, 'exit');
  try {
    const [port] = (await once(createInterface(server.stdout), 'line')) as [string];
    return [await throughput(`http://127.0.0.1:${port}/introspect`, effort)];
  } finally {
    server.kill();
    await exit;
  }
}

async function throughput(url: string, effort: Effort): Promise<Figure> {
  const introspector = openIntrospector(url);
  const agent = new Agent({ keepAlive: true, maxSockets: ASKING });
  const subject = async (token: string) => {
    const { active } = await introspector.introspect(new Secret(token), sha256(token), 'ekg-1');
    if (!active) throw new Error('the AS answered otherwise');
  };
  const floor = (token: string) => bareRelay(url, agent, token);
  const calls = effort.calls * BATCHES;
  const rounds = Math.max(5, Math.floor(effort.rounds / BATCHES));
  const times = { floor: [] as number[], subject: [] as number[] };
  await timeRound(floor, calls);
  await timeRound(subject, calls);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // Whoever comes second finds what the first has warmed up: they take turns.
    const order = round % 2 === 0 ? (['floor', 'subject'] as const) : (['subject', 'floor'] as const);
    for (const who of order) times[who].push(await timeRound(who === 'floor' ? floor : subject, calls));
    ratios.push((times.floor[round] ?? Number.NaN) / (times.subject[round] ?? Number.NaN));
  }
  agent.destroy();
  await introspector.close();
  const perSecond = (samples: readonly number[]) => Math.round((calls * 1_000) / quantile(samples, 0.5));
  return {
    name: 'relay-throughput',
    value: quantile(ratios, 0.5),
    goal: 1.05,
    better: 'higher',
    remark:
      `of bare node:http; quartiles ${quantile(ratios, 0.25).toFixed(3)} to ${quantile(ratios, 0.75).toFixed(3)}; ` +
      `${perSecond(times.subject)} a second, bare ${perSecond(times.floor)}`,
  };
}

/** Milliseconds for so many questions about as many tokens, `ASKING` at a time. */
async function timeRound(ask: (token: string) => Promise<void>, calls: number): Promise<number> {
  const tokens = Array.from({ length: calls }, () => base64url(systemRandom.bytes(32)));
  const start = performance.now();
  let next = 0;
  const device = async () => {
    for (let token = tokens[next++]; token !== undefined; token = tokens[next++]) await ask(token);
  };
  await Promise.all(Array.from({ length: ASKING }, device));
  return performance.now() - start;
}

const AUTHORIZATION = `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64')}`;

function bareRelay(url: string, agent: Agent, token: string): Promise<void> {
  const body = `token=${token}&token_type_hint=access_token`;
  const headers = {
    accept: 'application/json',
    authorization: AUTHORIZATION,
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': body.length,
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: 'POST', agent, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.once('error', reject);
      answer.once('end', () => {
        const { active } = JSON.parse(Buffer.concat(chunks).toString()) as { active: boolean };
        if (active) resolve();
        else reject(new Error('the AS answered otherwise'));
      });
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

function openIntrospector(url: string): Introspector {
  const clock: Clock = { now: () => ({ earliest: NOW, latest: NOW }), monotonic };
  const settings = { method: 'client_secret_basic', clientId: CLIENT.id, secret: new Secret(CLIENT.secret) } as const;
  return new Introspector({
    issuer: ISSUER,
    as: connectAuthorizationServer({ connections: INTROSPECTION_CONNECTIONS }),
    addresses: async () => ({ endpoint: url, certificateEndpoint: url }),
    known: () => ({ endpoint: url, certificateEndpoint: url }),
    authentication: clientAuthentication(settings, ISSUER),
    signing: 'optional',
    verifiers: async () => [],
    deadline: 5_000,
    leeway: 60,
    lifetime: 60,
    staleGrace: 0,
    whenUnsure: 'deny',
    clock,
    random: systemRandom,
    timers: systemTimers,
    log: SILENT,
  });
}

const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT,
};

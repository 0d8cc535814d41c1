/**
 * Authorization servers on bad days, seen through a hub that runs: what a connected device gets on each front, what log,
 * audit and status say, and when the server is asked again. Two hubs ask the same server: one as it is by default, and one
 * whose operator allows a grace.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { DpopToken } from '../../src/client/index.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { CONCISE_PROBLEM_TYPE, readConciseProblem } from '../../src/codec/concise-problem.ts';
import type { Credentials } from '../../src/codec/credentials-file.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { CATALOGUE, type ErrorCode } from '../../src/core/error-catalogue.ts';
import type { IntrospectionQuestion } from '../../src/core/introspection.ts';
import { AskingLine } from '../fixtures/asking-line.ts';
import { EKG_AUDIENCE } from '../fixtures/authorization-server.ts';
import type { FaultyServerOptions } from '../fixtures/faulty-server.ts';
import { HubFolder, type HubProcess } from '../fixtures/hub-process.ts';
import { MqttDevice } from '../fixtures/mqtt-device.ts';
import {
  askOverHttp,
  askProtected,
  auditRecords,
  type HttpReply,
  MAC0_TYPE,
  registerDevice,
  shown,
} from '../fixtures/relay-asking.ts';
import { SCRIPTED_CLIENT, ScriptedIssuer } from '../fixtures/scripted-issuer.ts';

const ON_LINE = 'https://ekg-9.devices.example';
const CA = fileURLToPath(new URL('../fixtures/tls/ca.pem', import.meta.url));

const WAIT = { timeout: 15_000, interval: 50 };

/** A hub at the issuer, with a device that asks over HTTP and MQTT. */
class Site {
  readonly folder = new HubFolder();
  ekg!: Credentials;
  hub!: HubProcess;

  async prepare(as: ScriptedIssuer, { issuer = '', more = '' } = {}): Promise<void> {
    writeFileSync(join(this.folder.path, 'secret'), SCRIPTED_CLIENT.secret);
    this.folder.configure(`
[mqtt]
embedded = true
embedded_listen = "127.0.0.1:0"
[[issuers]]
issuer = "${as.issuer}"
client_id = "${SCRIPTED_CLIENT.id}"
client_secret_file = "secret"
introspection_cache = "0s"
introspection_timeout = "1s"
${issuer}
${more}`);
    this.ekg = await registerDevice(this.folder, 'ekg-1', EKG_AUDIENCE);
  }

  /** Asks over HTTP, with a fresh proof for the token. */
  async show(token: DpopToken): Promise<HttpReply> {
    return this.ask(await shown(token));
  }

  ask(question: IntrospectionQuestion): Promise<HttpReply> {
    return askOverHttp(this.hub, question, this.ekg);
  }

  /** Lines of the log that have these members, as soon as there are so many: they come a moment after the answers. */
  async logged(members: Readonly<Record<string, unknown>>, count: number): Promise<readonly Record<string, unknown>[]> {
    await vi.waitFor(() => expect(this.#lines(members).length).toBeGreaterThanOrEqual(count), WAIT);
    return this.#lines(members);
  }

  #lines(members: Readonly<Record<string, unknown>>): readonly Record<string, unknown>[] {
    const fits = (line: Record<string, unknown>) =>
      Object.entries(members).every(([name, value]) => line[name] === value);
    return this.hub.output.map((line) => JSON.parse(line) as Record<string, unknown>).filter(fits);
  }
}

class Ward {
  readonly as: ScriptedIssuer;
  readonly line: AskingLine;
  readonly strict = new Site();
  readonly lenient = new Site();
  onLine!: Credentials;

  private constructor(as: ScriptedIssuer, line: AskingLine) {
    this.as = as;
    this.line = line;
  }

  static async open(options: FaultyServerOptions = {}): Promise<Ward> {
    const ward = new Ward(await ScriptedIssuer.start(options), await AskingLine.open());
    const { as, lenient, line, strict } = ward;
    const trusted = options.certificate === undefined ? '' : `ca_file = "${CA}"`;
    await strict.prepare(as, { issuer: trusted, more: `[[lines]]\nname = "ward-3"\npath = "${line.path}"` });
    await lenient.prepare(as, { issuer: `${trusted}\nstale_grace = "10m"` });
    const trust = join(strict.folder.path, 'trust.json');
    const onLine = ['--line', 'ward-3', '--trust', trust, '--allow', 'read=GET ecg'];
    ward.onLine = await registerDevice(strict.folder, 'ekg-9', ON_LINE, ...onLine);
    return ward;
  }

  async start(): Promise<void> {
    for (const site of [this.strict, this.lenient]) site.hub = await site.folder.start();
  }

  /** Ends the hubs, so that the next test finds none that gave the server a pause, and a server that is well. */
  async stop(): Promise<void> {
    for (const site of [this.strict, this.lenient]) await site.hub.stop();
    await this.as.goAway();
    await this.as.comeBack();
  }

  async close(): Promise<void> {
    await this.strict.folder.remove();
    await this.lenient.folder.remove();
    await this.line.close();
    await this.as.goAway();
  }

  async overMqtt(
    question: IntrospectionQuestion,
  ): Promise<{ readonly type: string | undefined; readonly payload: Buffer }> {
    const { port } = await this.strict.hub.event('broker_listens');
    const { ekg } = this.strict;
    const device = await MqttDevice.connect({
      port: Number(port),
      device: ekg.device,
      password: ekg.httpSecret.expose(),
    });
    const send = (message: Uint8Array) => device.ask(message, { contentType: MAC0_TYPE });
    const { answer } = await askProtected(ekg, question, send);
    await device.close();
    return { type: answer.contentType, payload: answer.payload };
  }

  async overCoap(question: IntrospectionQuestion): Promise<{ readonly code: string; readonly payload: Uint8Array }> {
    const contentFormat = CONTENT_FORMAT.aceCbor;
    const send = (payload: Uint8Array) =>
      this.line.request({ method: COAP_METHOD.POST, path: ['introspect'], contentFormat, payload });
    const { answer } = await askProtected(this.onLine, question, send);
    return { code: codeText(answer.code), payload: answer.payload };
  }
}

interface Fault {
  readonly code: ErrorCode;
  /** Whether an operator's grace lets an old verdict stand in: not for answers that were altered or cannot be read. */
  readonly excused: boolean;
  /** Whether it counts against the server: what it says of a token, and can be read by nobody, does not. */
  readonly pauses?: boolean;
  readonly begin: (as: ScriptedIssuer) => unknown;
  readonly end: (as: ScriptedIssuer) => unknown;
}

const recover = (as: ScriptedIssuer) => as.recover();

/** All that a device gets over HTTP: nothing that would tell an attacker more than the others learn. */
function refusal(code: ErrorCode) {
  const { fix, title } = CATALOGUE[code];
  const id = expect.stringMatching(/^[0-9a-f]{16}$/);
  return { type: `/errors/${code}`, title, status: 503, fix, code, id };
}

/** From a good day over the fault to the next good day. */
async function live(ward: Ward, { begin, code, end, excused, pauses = true }: Fault): Promise<void> {
  const { as, lenient, strict } = ward;
  const [token, onLine] = [await as.token(EKG_AUDIENCE), await as.token(ON_LINE)];
  for (const site of [strict, lenient]) expect((await site.show(token)).body).toMatchObject({ active: true });

  await begin(as);
  const question = await shown(token);
  await expectRefusedOnAllFronts(ward, question, await shown(onLine), code);
  if (pauses) await expectPause(ward, token, code);
  if (excused) await expectStale(lenient, token);
  else expect(await lenient.show(token)).toMatchObject({ status: 503, body: refusal(code) });
  // What the hub never heard of cannot be stale.
  const unheard = await lenient.show(await as.token(EKG_AUDIENCE));
  expect(unheard).toMatchObject({
    status: 503,
    body: { code: expect.stringMatching(`^(${code}|introspection_suspended)$`) },
  });

  await end(as);
  await vi.waitFor(async () => expect((await strict.show(token)).body).toMatchObject({ active: true }), WAIT);
  if (pauses) {
    const resumed = await strict.logged({ event: 'introspection_resumed' }, 1);
    expect(resumed).toMatchObject([{ level: 'info', issuer: as.issuer }]);
  }
  // Nobody judged the proof, so nobody used it up.
  expect((await strict.ask(question)).body).toMatchObject({ active: true, latchkey: { proof: 'dpop' } });
  await vi.waitFor(async () => {
    expect((await lenient.show(token)).body).toMatchObject({ latchkey: { freshness: { stale: false } } });
  }, WAIT);
}

async function expectRefusedOnAllFronts(
  ward: Ward,
  question: IntrospectionQuestion,
  onLine: IntrospectionQuestion,
  code: ErrorCode,
): Promise<void> {
  const { strict } = ward;
  const http = await strict.ask(question);
  expect(http.status).toBe(503);
  expect(http.body).toEqual(refusal(code));
  expect(http.headers.get('retry-after')).toBe('5');
  expect(http.headers.get('www-authenticate')).toBeNull();
  const mqtt = await ward.overMqtt(question);
  expect(mqtt.type).toBe(CONCISE_PROBLEM_TYPE);
  expect(readConciseProblem(mqtt.payload)).toBe(code);
  const coap = await ward.overCoap(onLine);
  expect(coap).toEqual({ code: '5.03', payload: new Uint8Array() });
  const refused = { event: 'relay_verdict', verdict: 'refused', code };
  expect(await strict.logged(refused, 3)).toMatchObject([
    { device: 'ekg-1', proof_kind: 'dpop' },
    { device: 'ekg-1', proof_kind: 'dpop' },
    { device: 'ekg-9', proof_kind: 'dpop' },
  ]);
  const records = (await auditRecords(strict.folder)).slice(-3);
  for (const record of records) {
    expect(record).toMatchObject({ kind: 'relay', verdict: 'refused', code, proof: 'dpop' });
    // Nobody vouched for anything that it says.
    expect(record).not.toHaveProperty('subject');
  }
  expect(records.map(({ device }) => device)).toEqual(['ekg-1', 'ekg-1', 'ekg-9']);
}

/** After failures for five tokens of a device in a row the hub asks no more for it for a while, and says so: one there was. */
async function expectPause({ as, strict }: Ward, token: DpopToken, code: ErrorCode): Promise<void> {
  for (let failed = 2; failed <= 5; failed++) {
    // One that failed before does not count again.
    expect((await strict.show(token)).body).toMatchObject({ code });
    expect((await strict.show(await as.token(EKG_AUDIENCE))).body).toMatchObject({ code });
  }
  const { asked } = as;
  expect(await strict.show(token)).toMatchObject({ status: 503, body: refusal('introspection_suspended') });
  expect(as.asked).toBe(asked);
  const suspended = await strict.logged({ event: 'introspection_suspended' }, 1);
  expect(suspended).toMatchObject([{ level: 'warn', issuer: as.issuer, device: 'ekg-1', code, failures: 5 }]);
  expect((await auditRecords(strict.folder)).at(-1)).toMatchObject({ code: 'introspection_suspended' });
  const { out } = await strict.folder.command('status', '--config', strict.folder.config);
  expect(out).toContain(`! introspection at ${as.issuer}: ${CATALOGUE[code].title}.`);
}

/** The last word of the server serves on, and says how old it is. */
async function expectStale(site: Site, token: DpopToken): Promise<void> {
  let age = -1;
  await vi.waitFor(async () => {
    const { body, status } = await site.show(token);
    expect(status).toBe(200);
    const freshness = { source: 'introspection', stale: true, age: expect.any(Number), clock: 'sure' };
    expect(body).toMatchObject({ active: true, latchkey: { proof: 'dpop', freshness } });
    expect(body.latchkey?.freshness?.age).toBeGreaterThanOrEqual(age);
    age = body.latchkey?.freshness?.age ?? -1;
    expect(age).toBeGreaterThan(0);
  }, WAIT);
  expect((await auditRecords(site.folder)).at(-1)).toMatchObject({ verdict: 'active', stale: true, age });
  // Of many alike in a second the log has a few, perhaps not the last one.
  const [told] = await site.logged({ event: 'relay_verdict', verdict: 'active', stale: true }, 1);
  expect(told).toMatchObject({ device: 'ekg-1', age: expect.any(Number) });
}

describe('an authorization server that', () => {
  let ward: Ward;
  beforeAll(async () => {
    ward = await Ward.open();
  });
  beforeEach(() => ward.start());
  afterEach(() => ward.stop());
  afterAll(() => ward.close());

  test('does not answer in time', async () => {
    const begin = (as: ScriptedIssuer) => as.answer({ fault: 'hang' });
    await live(ward, { code: 'as_timeout', excused: true, begin, end: recover });
  });

  test('stops in the middle of its answer', async () => {
    const begin = (as: ScriptedIssuer) => as.answer({ fault: 'stall', body: '{"active":true' });
    await live(ward, { code: 'as_timeout', excused: true, begin, end: recover });
  });

  test('fails with status 500, whatever stands in the answer', async () => {
    const begin = (as: ScriptedIssuer) => as.answer({ status: 500, body: '{"active":true}' });
    await live(ward, { code: 'as_answer_refused', excused: true, begin, end: recover });
  });

  test('answers garbage', async () => {
    const begin = (as: ScriptedIssuer) => as.answer({ body: '{"active":true}\u0000<html>' });
    await live(ward, { code: 'introspection_answer_invalid', excused: false, pauses: false, begin, end: recover });
  });

  test('signs its answer in the name of another issuer', async () => {
    const begin = (as: ScriptedIssuer) => as.answerSigned({ iss: 'https://elsewhere.example' });
    await live(ward, { code: 'introspection_answer_untrusted', excused: false, begin, end: recover });
  });

  test('signs its answer with a key that it does not publish', async () => {
    const begin = (as: ScriptedIssuer) => as.answerSigned({}, { kid: 'k2' });
    await live(ward, { code: 'introspection_answer_untrusted', excused: false, begin, end: recover });
  });

  test('is gone, and back', async () => {
    const begin = (as: ScriptedIssuer) => as.goAway();
    await live(ward, { code: 'as_unreachable', excused: true, begin, end: (as) => as.comeBack() });
  });
});

describe('an authorization server whose certificate', () => {
  let ward: Ward;
  beforeAll(async () => {
    ward = await Ward.open({ certificate: 'server.pem' });
  });
  beforeEach(() => ward.start());
  afterEach(() => ward.stop());
  afterAll(() => ward.close());

  const showing = (certificate: FaultyServerOptions['certificate'] & string): Fault => ({
    code: 'as_tls_untrusted',
    excused: true,
    begin: async (as) => {
      await as.goAway();
      await as.comeBack({ certificate });
    },
    end: async (as) => {
      // Not one token was sent to whoever it was.
      expect(as.asked).toBe(0);
      await as.goAway();
      await as.comeBack();
    },
  });

  test('is of no authority that the hub trusts', async () => {
    await live(ward, showing('client.pem'));
  });

  test('is for another name', async () => {
    await live(ward, showing('elsewhere.pem'));
  });
});

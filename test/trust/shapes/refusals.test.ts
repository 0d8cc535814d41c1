/**
 * What a refused token of a real server leaves behind: a problem over real HTTP that its holder can act on, and a line in the log that
 * says what the token has and what was expected.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { northboundRoutes } from '../../../drivers/http/northbound.ts';
import { HttpServer } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { importJwk } from '../../../src/codec/cose/key.ts';
import { CATALOGUE, type ErrorCode } from '../../../src/core/error-catalogue.ts';
import { isJsonObject } from '../../../src/core/json.ts';
import { Secret } from '../../../src/core/secret.ts';
import { TOLD_TO_HOLDER } from '../../../src/core/told-to-holder.ts';
import { DeliveryQueue } from '../../../src/devices/delivery-queue.ts';
import type { Device } from '../../../src/devices/device.ts';
import { Registry } from '../../../src/devices/registry.ts';
import { DeliverFlow } from '../../../src/flows/deliver.ts';
import type { Dispatcher } from '../../../src/flows/dispatch.ts';
import { policyOf } from '../../../src/hub/settings.ts';
import { redactFields } from '../../../src/observe/redact.ts';
import type { Northbound } from '../../../src/ports/northbound.ts';
import { translate } from '../../../src/token/translate.ts';
import { type IssuerPolicy, issuerPolicy } from '../../../src/trust/issuer-policy.ts';
import { verifyJwt } from '../../../src/trust/verify-jwt.ts';
import { AuditList } from '../../fakes/audit-list.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { FaultyStore } from '../../fakes/faulty-store.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { deviceProfile } from '../../fixtures/verified-token.ts';
import { DEVICE, NOW, type Shape } from './shape.ts';
import { clientKey, keys, recipeOf, SHAPES, tokenOf } from './table.ts';

const AUTHENTICATION = importJwk(
  { kty: 'oct', kid: 'k', k: 'MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY' },
  'HMAC 256/64',
);
/** Nothing of these may reach a client whose token nobody signed. */
const OTHER_DEVICE = 'bay-2-canary';
const PUBLIC_URL = 'https://hub.example/ward';

/** A hub with one device under the issuers of a shape: all but the link, the clock and the DPoP proof is real. */
class Site {
  /** Without the rate limiter of the log, which would hold most of so many lines back. */
  readonly log = new QuietLog();
  readonly audit = new AuditList();
  readonly #registry: Registry;
  readonly #server: HttpServer;
  #origin = '';
  #shape: Shape | undefined;
  #policies: readonly IssuerPolicy[] = [];

  constructor(registry: Registry) {
    const [log, store, time] = [this.log, new FaultyStore(), new FakeTime()];
    this.#registry = registry;
    const flow = new DeliverFlow({
      registry,
      queue: new DeliveryQueue({ store, log, clock: time }),
      dispatcher: { wake: () => undefined, difficulty: () => undefined } as unknown as Dispatcher,
      random: time,
      verify: (jwt, device) => this.#verify(jwt, device),
      judgeProof: () => clientKey,
      bindings: { ownerOf: () => undefined, bind: async () => undefined },
      openConfirmationKey: async () => undefined,
      translate: (token, device, presenter) =>
        translate(token, {
          profile: device.profile,
          device: device.id,
          audience: device.audience,
          keys: { authentication: AUTHENTICATION },
          ...presenter,
          random: time,
          time: { earliest: NOW, latest: NOW },
        }),
      hints: { of: async () => undefined },
      audit: this.audit,
      wait: 0,
    });
    const deliver: Northbound['deliver'] = (...presented) => flow.deliver(...presented);
    const northbound = { deliver, dpopNonce: () => 'nonce' } as unknown as Northbound;
    this.#server = new HttpServer({
      routes: northboundRoutes({ northbound, origins: () => [PUBLIC_URL] }),
      log,
      random: systemRandom,
      connections: { overall: 64, perNetwork: 64 },
      errorPagesAt: PUBLIC_URL,
    });
  }

  async open(): Promise<void> {
    this.#origin = `http://127.0.0.1:${await this.#server.listen({ host: '127.0.0.1', port: 0 })}`;
  }

  close = () => this.#server.close(100);

  #verify(jwt: string, device: Device) {
    const find = (issuer: string) => {
      const policy = this.#policies.find((one) => one.issuer === issuer);
      const held = { forKeyId: async () => ({ ring: keys, age: 0 }), ring: () => keys };
      return policy === undefined ? undefined : { policy, keys: held as never };
    };
    const { audience = DEVICE } = this.#shape ?? {};
    return verifyJwt(jwt, {
      issuers: { find, names: () => this.#policies.map(({ issuer }) => issuer) },
      audience,
      device: { id: device.id, audience, names: { has: (id) => id === device.id, withAudience: () => undefined } },
      time: { earliest: NOW, latest: NOW },
      whenUnsure: 'deny',
    });
  }

  /** Presents a token for the device, which is registered as the shape has it. */
  async refuse(jwt: string, shape: Shape, policies: readonly IssuerPolicy[]) {
    this.#shape = shape;
    this.#policies = policies;
    const { audience = DEVICE, scope = ['read'] } = shape;
    await this.#registry.remove('tube-1');
    await this.#registry.add(deviceOf('tube-1', audience, scope));
    this.log.lines.length = 0;
    const answer = await fetch(`${this.#origin}/devices/tube-1/authz-info`, {
      method: 'POST',
      headers: hasCertificate(shape)
        ? { authorization: `Bearer ${jwt}` }
        : { authorization: `DPoP ${jwt}`, dpop: 'proof' },
    });
    const { id, ...problem } = (await answer.json()) as Record<string, string>;
    const lines = this.log.lines.map(({ fields }) => redactFields(fields) as Record<string, string>);
    return { status: answer.status, problem, id, text: JSON.stringify(lines), line: lines.find((one) => one.code) };
  }

  /** What the address of a problem's type has: the proxy takes the path of the public address off. */
  async page(type: string): Promise<{ readonly status: number; readonly text: string }> {
    expect(type.startsWith(`${PUBLIC_URL}/`)).toBe(true);
    const answer = await fetch(this.#origin + type.slice(PUBLIC_URL.length));
    return { status: answer.status, text: await answer.text() };
  }
}

function deviceOf(id: string, audience: string, scopes: readonly string[]): Device {
  return {
    id,
    audience,
    line: 'bench',
    profile: deviceProfile({ scopes: [...scopes] }),
    issuers: undefined,
    rootKey: new Secret(new Uint8Array(32)),
    trustVersion: 1,
    addedAt: 1_700_000_000,
  };
}

/** Bound to a certificate alone, so its client has no DPoP proof to send. */
function hasCertificate({ claims: { cnf } }: Shape): boolean {
  return isJsonObject(cnf) && cnf['x5t#S256'] !== undefined && cnf.jkt === undefined;
}

let site: Site;

beforeAll(async () => {
  const registry = new Registry({ store: new FaultyStore(), log: new QuietLog() });
  await registry.add(deviceOf(OTHER_DEVICE, `https://${OTHER_DEVICE}.example`, ['other']));
  await registry.add(deviceOf('tube-1', DEVICE, ['read']));
  site = new Site(registry);
  await site.open();
});

afterAll(() => site.close());

function byDefault({ dialect }: Shape): readonly IssuerPolicy[] {
  const source = { kind: 'jwks', url: 'https://as.example/jwks' } as const;
  return recipeOf(dialect).issuers.map(({ issuer }) => issuerPolicy({ issuer, source }));
}

const byRecipe = ({ dialect, settings = '' }: Shape) => recipeOf(dialect).with(settings).map(policyOf);

interface Refused {
  readonly name: string;
  readonly shape: Shape;
  readonly code: ErrorCode;
  readonly policies: readonly IssuerPolicy[];
}

const REFUSED: readonly Refused[] = SHAPES.flatMap((shape) => [
  ...(shape.byDefault === 'delivered'
    ? []
    : [{ name: `${shape.name}, by default`, shape, code: shape.byDefault, policies: byDefault(shape) }]),
  ...(shape.underDialect === 'delivered'
    ? []
    : [{ name: `${shape.name}, under its recipe`, shape, code: shape.underDialect, policies: byRecipe(shape) }]),
]);

/** Where there is a value in the token and another one that is expected. */
const BOTH_VALUES = /\b[\w.#]+ is (missing|["[{].*), expected .+/;
/** Refusals about one thing alone: what is not there, or what is of no form. */
const ONE_VALUE: Partial<Record<ErrorCode, RegExp>> = {
  jwt_malformed: /^not three parts of ASCII$/,
  token_opaque: /^not three parts of ASCII$/,
  token_encrypted: /^a JWE, and here is no key for it$/,
  confirmation_unsupported: /^cnf has "x5t#S256", expected one of jwk, jwe, jkt, kid$/,
  confirmation_missing: /^cnf is missing$/,
  audience_ambiguous: /^aud is \[.*\], and cnf is missing$/,
  jwt_header_refused: /^header member \w+( is ".*")?, and ignored_headers does not name it$/,
  jwt_claim_missing: /^\w+$/,
  jwt_claim_required: /^[\w| ]+ is missing$/,
  jwt_type_refused: /^an ID token: it has (at_hash|c_hash|nonce)$/,
};

function expectDetail(detail: string | undefined, code: ErrorCode): void {
  if (ONE_VALUE[code]?.test(detail ?? '') !== true) expect(detail).toMatch(BOTH_VALUES);
}

/** Parts of a token that name it or open something, at any place in a text. */
function expectNothingOf(jwt: string, text: string): void {
  for (const part of jwt.split('.').filter((one) => one.length > 16)) {
    expect(text).not.toContain(part);
    expect(text).not.toContain(part.slice(0, 40));
  }
}

const without = (jwt: string) => {
  const [header, payload, signature = ''] = jwt.split('.');
  return `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
};

test('the table has refusals of many kinds', () => {
  expect(REFUSED.length).toBeGreaterThan(60);
  expect(new Set(REFUSED.map(({ code }) => code)).size).toBeGreaterThanOrEqual(6);
});

describe.each(REFUSED)('$name', ({ code, policies, shape }) => {
  const { audience = DEVICE } = shape;

  test('the line in the log has the device and what is expected', async () => {
    const jwt = await tokenOf(shape);
    const { id, line, text } = await site.refuse(jwt, shape, policies);
    expect(line).toMatchObject({ event: 'refused', device: 'tube-1', code, request: id });
    expectDetail(line?.detail, code);
    expectNothingOf(jwt, text);
  });

  test('the problem says what to do, and its type is the address of a page', async () => {
    const jwt = await tokenOf(shape);
    const { problem, status } = await site.refuse(jwt, shape, policies);
    const { cause, fix, title } = CATALOGUE[code];
    expect(problem).toMatchObject({ code, status, title, fix, type: `${PUBLIC_URL}/errors/${code}` });
    const page = await site.page(problem.type ?? '');
    expect(page.status).toBe(200);
    for (const words of [title, cause, fix, code]) expect(page.text).toContain(words);
    expectNothingOf(jwt, JSON.stringify(problem));
  });

  test('the holder of a token that the issuer signed reads both values', async () => {
    const { line, problem } = await site.refuse(await tokenOf(shape), shape, policies);
    expect(problem.detail).toBe(TOLD_TO_HOLDER.has(code) ? line?.detail : undefined);
  });

  test('with a signature that does not verify nothing but the catalogue is said', async () => {
    if (shape.form !== undefined) return;
    const { problem } = await site.refuse(without(await tokenOf(shape)), shape, policies);
    const said = problem.code as ErrorCode;
    const { fix, status, title } = CATALOGUE[said];
    expect(problem).toEqual({ type: `${PUBLIC_URL}/errors/${said}`, title, status, fix, code: said });
    for (const secret of [audience, OTHER_DEVICE, ...policies.map(({ issuer }) => issuer)]) {
      expect(JSON.stringify(problem)).not.toContain(secret);
    }
  });
});

test('a good token of a good shape with the audience of another device is told which was expected', async () => {
  const [shape] = SHAPES.filter((one) => one.byDefault === 'delivered' && one.claims.aud === DEVICE);
  if (shape === undefined) throw new Error('no shape');
  const other = { ...shape, claims: { ...shape.claims, aud: 'https://elsewhere.example' } };
  const { line, problem } = await site.refuse(await tokenOf(other), other, byDefault(other));
  const detail = `aud is "https://elsewhere.example", expected "${DEVICE}"`;
  expect(line).toMatchObject({ code: 'jwt_audience_mismatch', device: 'tube-1', detail });
  expect(problem).toMatchObject({ code: 'jwt_audience_mismatch', detail });
  expect(site.audit.entries.at(-1)).toMatchObject({ device: 'tube-1', code: 'jwt_audience_mismatch' });
});

describe('no token opens anything by its refusal', () => {
  test.each<[string, Record<string, unknown>, ErrorCode, string]>([
    ['expired', { exp: NOW - 60 }, 'jwt_expired', 'exp is 2027-01-15T07:59:00.000Z, now is 2027-01-15T08:00:00.000Z'],
    [
      'of later',
      { nbf: NOW + 3_600 },
      'jwt_not_yet_valid',
      'nbf is 2027-01-15T09:00:00.000Z, now is 2027-01-15T08:00:00.000Z, and 60 s are allowed',
    ],
    ['of another scope', { scope: 'admin' }, 'scope_empty', 'scope is "admin", expected "read"'],
    [
      'of a date in milliseconds',
      { exp: NOW * 1_000 },
      'jwt_claim_invalid',
      `exp is ${NOW * 1_000}, expected a number of seconds since 1970`,
    ],
    [
      'of a key that it names, with a DPoP proof',
      { cnf: { kid: 'k-1' } },
      'proof_key_mismatch',
      'a DPoP proof, and cnf has ["kid"], expected "jkt"',
    ],
    [
      'of a certificate',
      { cnf: { 'x5t#S256': 'A'.repeat(43) } },
      'confirmation_unsupported',
      'cnf has "x5t#S256", expected one of jwk, jwe, jkt, kid',
    ],
  ])('one %s', async (_name, claims, code, detail) => {
    const [shape] = SHAPES.filter((one) => one.byDefault === 'delivered' && one.claims.aud === DEVICE);
    if (shape === undefined) throw new Error('no shape');
    const changed = { ...shape, claims: { ...shape.claims, ...claims } as Shape['claims'] };
    const jwt = await tokenOf(changed);
    expect(await site.refuse(jwt, changed, byDefault(changed))).toMatchObject({
      line: { code, device: 'tube-1', detail },
      problem: { code, detail },
    });
    const altered = await site.refuse(without(jwt), changed, byDefault(changed));
    expect(altered.problem).toMatchObject({ code: 'jwt_signature_invalid' });
    expect(altered.problem).not.toHaveProperty('detail');
  });

  test('an unregistered device is no device, whatever the token is', async () => {
    const [shape] = SHAPES.filter((one) => one.byDefault === 'delivered');
    if (shape === undefined) throw new Error('no shape');
    const { line, problem } = await site.refuse(await tokenOf(shape), shape, []);
    expect(problem).not.toHaveProperty('detail');
    expect(line?.detail).toMatch(/^iss is ".*", expected none$/);
  });
});

import { beforeEach, describe, expect, test } from 'vitest';
import { openForDevice } from '../../src/codec/session-key.ts';
import { base64url, sha256 } from '../../src/core/bytes.ts';
import type { ErrorCode } from '../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { RelayFreshness } from '../../src/core/introspection.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Device } from '../../src/devices/device.ts';
import { sessionKey } from '../../src/devices/device-credentials.ts';
import { profileFromJson } from '../../src/devices/profile.ts';
import { Registry } from '../../src/devices/registry.ts';
import { RelayFlow } from '../../src/flows/relay.ts';
import type { GoodToken, TokenVerdict } from '../../src/flows/token-verdict.ts';
import type { DurableReplayWindow } from '../../src/pop/durable-replay-window.ts';
import { ProofKeys } from '../../src/pop/proof-keys.ts';
import type { BindingRequest } from '../../src/pop/token-bindings.ts';
import type { RelayRequest } from '../../src/ports/relay.ts';
import { AuditList } from '../fakes/audit-list.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';
import { verifiedToken } from '../fixtures/verified-token.ts';
import {
  AUDIENCE,
  makeClient,
  makeDpop,
  makeSharedKey,
  NOW,
  openWindow,
  presentCose,
  presentDpop,
  TOKEN,
  TOKEN_DIGEST,
  WINDOW,
} from '../pop/proof-rig.ts';

const ISSUER = 'https://as.example';
const client = makeClient();
const edwards = makeClient('EdDSA');
const freshness: RelayFreshness = { source: 'introspection', age: 3, stale: false, clock: 'sure' };
const INACTIVE: TokenVerdict = {
  active: false,
  code: 'token_inactive',
  concealed: false,
  issuer: ISSUER,
  freshness,
  evidence: undefined,
};
const evidence = { digest: new Uint8Array(32), jws: undefined };

function good(changes: Partial<GoodToken> = {}): TokenVerdict {
  const token = {
    issuer: ISSUER,
    subject: 'doctor-7',
    expiresAt: NOW + 600,
    audience: [AUDIENCE],
    members: { scope: 'read', sub: 'doctor-7' },
    confirmation: { jkt: client.thumbprint },
    confidential: true,
    verified: undefined,
    ...changes,
  };
  return { active: true, token, freshness, evidence };
}

let device: Device;
let registry: Registry;
let replay: DurableReplayWindow;
let audit: AuditList;
let log: QuietLog;
let time: FakeTime;
let verdict: TokenVerdict | ErrorCode;
/** Done while the token is judged. */
let meanwhile: () => Promise<void>;

beforeEach(async () => {
  time = new FakeTime();
  log = new QuietLog();
  audit = new AuditList();
  replay = await openWindow();
  registry = new Registry({ store: new FaultyStore(), log });
  device = connectedDevice('ekg-1', { audience: AUDIENCE });
  await registry.add(device);
  verdict = good();
  bound = [];
  refusal = undefined;
  owner = undefined;
  meanwhile = async () => undefined;
});

/** Keys that tokens were bound to. */
let bound: string[];
let refusal: LatchkeyError | undefined;
/** The key that the token is bound to. */
let owner: string | undefined;
const bind = async ({ thumbprint }: BindingRequest) => {
  if (refusal !== undefined) throw refusal;
  bound.push(thumbprint);
};

function makeFlow(): RelayFlow {
  const judge = async (): Promise<TokenVerdict> => {
    await meanwhile();
    if (typeof verdict === 'string') throw new LatchkeyError(verdict);
    return verdict;
  };
  return new RelayFlow({
    bindings: { bind, ownerOf: () => owner },
    registry,
    tokens: { judge },
    replay,
    keys: new ProofKeys(),
    clock: time,
    random: time,
    audit,
    log,
    window: WINDOW,
  });
}

function ask(changes: Partial<RelayRequest> = {}, flow = makeFlow()) {
  const request: RelayRequest = {
    device: 'ekg-1',
    token: new Secret(TOKEN),
    proof: undefined,
    wantsSessionKey: false,
    clientFormat: 'jose',
    ...changes,
  };
  return flow.relay(request, { id: 'r1', log });
}

const proof = async () => presentDpop(await makeDpop(client));

describe('the answer is "not active"', () => {
  test('where the token is not good, and the proof is not looked at', async () => {
    verdict = INACTIVE;
    const shown = await proof();
    expect(await ask({ proof: shown })).toEqual({ active: false, code: 'token_inactive', freshness });
    verdict = good();
    expect(await ask({ proof: shown })).toMatchObject({ active: true });
  });

  test.each<[string, Partial<GoodToken>, ErrorCode]>([
    ['for a bound token without proof', {}, 'proof_missing'],
    ['for a token that is bound to no key', { confirmation: undefined }, 'confirmation_missing'],
    ['for one that is bound in a way that was left out', { confirmation: {} }, 'confirmation_unsupported'],
    ['for one whose JWT has an empty confirmation', { confirmation: {}, confidential: false }, 'confirmation_invalid'],
    ['for one with a key that the hub does not have', { confirmation: { kid: 'k1' } }, 'confirmation_unsupported'],
  ])('%s', async (_, token, code) => {
    verdict = good(token);
    expect(await ask()).toEqual({ active: false, code, freshness });
  });

  test('and no more than that where the token may be of another device; the audit has the reason', async () => {
    verdict = { ...INACTIVE, code: 'jwt_audience_mismatch', concealed: true };
    expect(await ask({ proof: await proof() })).toEqual({
      active: false,
      code: 'token_inactive',
      freshness: undefined,
    });
    expect(audit.entries).toMatchObject([{ verdict: 'inactive', code: 'jwt_audience_mismatch', freshness }]);
  });

  test('for a token that is bound to no key and is for others too, on a device for bearer tokens', async () => {
    await registry.remove('ekg-1');
    await registry.add({ ...device, profile: profileFromJson({ bearer: true }, { takesTokens: false }) });
    verdict = good({ confirmation: undefined, audience: [AUDIENCE, 'https://pump-1.ward.example'] });
    expect(await ask()).toEqual({ active: false, code: 'audience_ambiguous', freshness });
  });

  test('for a token that is bound in a way that was left out, on a device for bearer tokens too', async () => {
    await registry.remove('ekg-1');
    const profile = profileFromJson({ bearer: true }, { takesTokens: false });
    await registry.add({ ...device, profile });
    verdict = good({ confirmation: {} });
    expect(await ask()).toMatchObject({ active: false, code: 'confirmation_unsupported' });
  });

  test('for a secret that a JWT shows to everybody', async () => {
    const shared = makeSharedKey();
    verdict = good({ confirmation: { jwk: shared.jwk }, confidential: false });
    expect(await ask({ proof: presentCose(shared.key) })).toMatchObject({
      active: false,
      code: 'confirmation_invalid',
    });
  });

  test('for the proof of another key', async () => {
    const thief = presentDpop(await makeDpop(makeClient()));
    expect(await ask({ proof: thief })).toMatchObject({ active: false, code: 'proof_key_mismatch' });
  });

  test('for a proof that was used', async () => {
    const shown = await proof();
    await ask({ proof: shown });
    expect(await ask({ proof: shown })).toMatchObject({ active: false, code: 'proof_replayed' });
  });
});

describe('a JWT that its issuer bound to no key, with bind = "first-presenter"', () => {
  const unbound = (changes: Partial<GoodToken> = {}) =>
    good({
      confirmation: undefined,
      confidential: false,
      verified: verifiedToken({ confirmation: undefined, bind: 'first-presenter' }),
      ...changes,
    });

  test.each([
    ['a DPoP proof', () => proof()],
    ['a COSE proof that shows its key', async () => presentCose(client.key, { show: client.publicJwk })],
  ])('is bound to the key of %s, which the answer has', async (_, shown) => {
    verdict = unbound();
    expect(await ask({ proof: await shown() })).toMatchObject({
      active: true,
      members: { scope: 'read', cnf: { jkt: client.thumbprint } },
    });
    expect(bound).toEqual([client.thumbprint]);
  });

  test('is not active without a proof', async () => {
    verdict = unbound();
    expect(await ask()).toMatchObject({ active: false, code: 'proof_missing' });
    expect(bound).toEqual([]);
  });

  test.each([
    ['under a secret', async () => presentCose(makeSharedKey().key), 'proof_key_mismatch'],
    ['without its key', async () => presentCose(client.key), 'proof_malformed'],
    [
      'of a certificate',
      async () => ({ kind: 'certificate', thumbprint: new Uint8Array(32) }) as const,
      'proof_key_mismatch',
    ],
  ])('is bound to none by a proof %s', async (_, shown, code) => {
    verdict = unbound();
    expect(await ask({ proof: await shown() })).toMatchObject({ active: false, code });
    expect(bound).toEqual([]);
  });

  test('is bound by no proof that was used before', async () => {
    const shown = await proof();
    verdict = unbound();
    await ask({ proof: shown });
    expect(await ask({ proof: shown })).toMatchObject({ active: false, code: 'proof_replayed' });
    expect(bound).toHaveLength(1);
  });

  test('is not active where it is bound to another key', async () => {
    verdict = unbound();
    refusal = new LatchkeyError('token_bound_elsewhere');
    expect(await ask({ proof: await proof() })).toMatchObject({ active: false, code: 'token_bound_elsewhere' });
  });

  test('takes no room in the replay window where it is bound to another key', async () => {
    verdict = unbound();
    owner = edwards.thumbprint;
    expect(await ask({ proof: await proof() })).toMatchObject({ active: false, code: 'token_bound_elsewhere' });
    expect([replay.size, bound]).toEqual([0, []]);
  });

  test('is not active with several audiences: elsewhere it is a bearer token', async () => {
    verdict = unbound({ audience: [AUDIENCE, 'https://pump-1.ward.example'] });
    expect(await ask({ proof: await proof() })).toMatchObject({ active: false, code: 'audience_ambiguous' });
  });

  test('is not bound where the AS says a key', async () => {
    verdict = unbound({ confirmation: { jkt: client.thumbprint }, confidential: true });
    expect(await ask({ proof: await proof() })).toMatchObject({ active: true });
    expect(bound).toEqual([]);
  });

  test('needs no proof at a device for bearer tokens', async () => {
    await registry.remove('ekg-1');
    await registry.add({ ...device, profile: profileFromJson({ bearer: true }, { takesTokens: false }) });
    verdict = unbound();
    expect(await ask()).toMatchObject({ active: true, proof: 'none' });
  });
});

describe('a device that verifies proofs itself', () => {
  beforeEach(async () => {
    await registry.remove('ekg-1');
    const profile = profileFromJson({ checksProofs: true }, { takesTokens: false });
    await registry.add({ ...device, profile });
  });

  const told = { active: true, proof: 'none', members: { token_type: 'DPoP', cnf: { jkt: client.thumbprint } } };

  test.each<[string, Partial<GoodToken>]>([
    ['as its thumbprint', { members: { scope: 'read', cnf: { jkt: client.thumbprint } } }],
    ['which the AS called a bearer token', { members: { token_type: 'Bearer', cnf: { jkt: client.thumbprint } } }],
    ['as a whole', { confirmation: { jwk: client.publicJwk }, members: { cnf: { jwk: client.publicJwk } } }],
    [
      'beside a certificate',
      {
        confirmation: { jkt: client.thumbprint, 'x5t#S256': base64url(TOKEN_DIGEST) },
        members: { cnf: { jkt: client.thumbprint, 'x5t#S256': base64url(TOKEN_DIGEST) } },
      },
    ],
  ])('is told the key of a token without a proof, %s', async (_, token) => {
    verdict = good(token);
    const answer = await ask();
    expect(answer).toMatchObject({
      ...told,
      members: { ...told.members, cnf: { ...(token.members?.cnf as object), ...told.members.cnf } },
    });
    expect(replay.size).toBe(0);
    expect(audit.entries).toMatchObject([{ verdict: 'active', proof: 'device' }]);
  });

  test('may hand on a proof all the same, which serves once', async () => {
    const shown = await proof();
    expect(await ask({ proof: shown })).toMatchObject({ active: true, proof: 'dpop' });
    expect(await ask({ proof: shown })).toMatchObject({ active: false, code: 'proof_replayed' });
    expect(audit.entries).toMatchObject([{ proof: 'dpop' }, { proof: 'dpop' }]);
  });

  test.each<[string, Partial<GoodToken>, ErrorCode]>([
    ['to a certificate', { confirmation: { 'x5t#S256': base64url(TOKEN_DIGEST) } }, 'proof_missing'],
    ['to a secret', { confirmation: { jwk: makeSharedKey().jwk } }, 'proof_missing'],
    ['to no key', { confirmation: undefined }, 'confirmation_missing'],
    ['in a way that was left out', { confirmation: {} }, 'confirmation_unsupported'],
  ])('is not told of a token that is bound %s', async (_, token, code) => {
    verdict = good(token);
    expect(await ask()).toEqual({ active: false, code, freshness });
    expect(audit.entries).toMatchObject([{ proof: 'none', code }]);
  });

  test('is not told of a token that is not good', async () => {
    verdict = INACTIVE;
    expect(await ask()).toEqual({ active: false, code: 'token_inactive', freshness });
  });

  test('is told the key that the hub bound a token to, and has to hand on a proof for one that is bound to none', async () => {
    const members = { scope: 'read' };
    const verified = verifiedToken({ confirmation: undefined, bind: 'first-presenter' });
    verdict = good({ confirmation: undefined, confidential: false, verified, members });
    expect(await ask()).toEqual({ active: false, code: 'proof_missing', freshness });
    expect(bound).toEqual([]);
    owner = client.thumbprint;
    expect(await ask()).toMatchObject({ ...told, members: { ...told.members, scope: 'read' } });
    expect(bound).toEqual([]);
  });
});

test('an opaque token is bound to no presenter: what an AS may know by two names could have two', async () => {
  await registry.remove('ekg-1');
  await registry.add({ ...device, profile: profileFromJson({ bind: 'first-presenter' }, { takesTokens: false }) });
  verdict = good({ confirmation: undefined });
  expect(await ask()).toMatchObject({ active: false, code: 'confirmation_missing' });
  expect(await ask({ proof: await proof() })).toMatchObject({ active: false, code: 'confirmation_missing' });
  expect(bound).toEqual([]);
});

describe('there is no answer', () => {
  test.each<ErrorCode>(['as_unreachable', 'introspection_unavailable', 'keys_too_old', 'clock_unsure'])(
    'where the token is not judged for %s',
    async (code) => {
      verdict = code;
      expect(await asyncCodeOf(ask())).toBe(code);
      expect(audit.entries).toMatchObject([{ verdict: 'refused', code, issuer: undefined, subject: undefined }]);
    },
  );

  test('to a device that is not registered', async () => {
    expect(await asyncCodeOf(ask({ device: 'ekg-2' }))).toBe('device_unknown');
  });

  test('to a device that was registered anew while the AS was asked', async () => {
    meanwhile = async () => {
      await registry.remove('ekg-1');
      await registry.add({ ...device, rootKey: new Secret(device.rootKey.expose()) });
    };
    expect(await asyncCodeOf(ask({ proof: await proof() }))).toBe('device_unknown');
  });

  test('while the time is not known, to a proof without nonce', async () => {
    time.forgetLatest();
    expect(await asyncCodeOf(ask({ proof: await proof() }))).toBe('clock_unsure');
  });

  test('while no more proofs can be remembered', async () => {
    replay = await openWindow({ limit: 0 });
    expect(await asyncCodeOf(ask({ proof: await proof() }))).toBe('proof_window_full');
  });

  test.each<[string, () => Promise<Partial<RelayRequest>>, GoodToken['confirmation']]>([
    ['to a key of Ed25519', async () => ({ proof: presentDpop(await makeDpop(edwards)) }), { jkt: edwards.thumbprint }],
    [
      'to a certificate',
      async () => ({ proof: { kind: 'certificate', thumbprint: TOKEN_DIGEST } }),
      { 'x5t#S256': base64url(TOKEN_DIGEST) },
    ],
  ])('where a session key is wanted and nothing can be encrypted %s', async (_, request, confirmation) => {
    verdict = good({ confirmation });
    expect(await asyncCodeOf(ask({ ...(await request()), wantsSessionKey: true }))).toBe('session_key_unsupported');
    expect(audit.entries).toMatchObject([{ verdict: 'refused', code: 'session_key_unsupported', issuer: ISSUER }]);
  });
});

describe('the answer is "active"', () => {
  test('with the members of the token, for its holder', async () => {
    expect(await ask({ proof: await proof() })).toEqual({
      active: true,
      members: { scope: 'read', sub: 'doctor-7' },
      proof: 'dpop',
      freshness,
      sessionKey: undefined,
    });
  });

  test('for whoever brings a token that is bound to no key, on a device that takes such', async () => {
    await registry.remove('ekg-1');
    await registry.add({ ...device, profile: profileFromJson({ bearer: true }, { takesTokens: false }) });
    verdict = good({ confirmation: undefined });
    expect(await ask()).toMatchObject({ active: true, proof: 'none' });
  });

  test('for a secret that the AS told the hub', async () => {
    const shared = makeSharedKey();
    verdict = good({ confirmation: { jwk: shared.jwk } });
    const answer = await ask({ proof: presentCose(shared.key), wantsSessionKey: true });
    expect(answer).toMatchObject({ active: true, proof: 'cose', sessionKey: { forClient: undefined } });
  });
});

describe('a session key', () => {
  const key = async (token: Partial<GoodToken>) => {
    verdict = good(token);
    const answer = await ask({ proof: await proof(), wantsSessionKey: true });
    return answer.active ? answer.sessionKey : undefined;
  };

  test('is sealed for the device, and ends with the token', async () => {
    const copies = await key({ expiresAt: NOW + 600.9 });
    const opened = openForDevice(copies?.forDevice ?? new Uint8Array(), {
      key: sessionKey(device),
      device: 'ekg-1',
      audience: AUDIENCE,
    });
    expect(opened).toMatchObject({ keyId: copies?.keyId, expiresAt: NOW + 600 });
  });

  test.each<[string, number | undefined]>([
    ['that ends later', NOW + 86_400],
    ['whose end nobody tells', undefined],
  ])('lives for an hour under a token %s', async (_, expiresAt) => {
    expect(await key({ expiresAt })).toMatchObject({ expiresAt: NOW + 3_600 });
  });
});

test('a flood of verdicts is a few lines of the log and a sum, and all of it is in the audit', async () => {
  verdict = INACTIVE;
  const flow = makeFlow();
  for (let count = 0; count < 1_000; count += 1) await ask({}, flow);
  flow.close();
  expect(log.events()).toEqual([...Array.from({ length: 4 }, () => 'relay_verdict'), 'relay_repeated']);
  expect(log.lines.at(-1)?.fields).toMatchObject({ verdict: 'inactive', code: 'token_inactive', count: 996 });
  expect(audit.entries).toHaveLength(1_000);
});

test('a flood of verdicts hides no stale one', async () => {
  verdict = INACTIVE;
  const flow = makeFlow();
  for (let count = 0; count < 100; count += 1) await ask({}, flow);
  verdict = { ...INACTIVE, freshness: { ...freshness, stale: true } };
  await ask({}, flow);
  expect(log.lines.at(-1)?.fields).toMatchObject({ event: 'relay_verdict', stale: true, age: 3 });
  flow.close();
});

test('the log says what a refused token has and what is expected, and the device gets neither', async () => {
  const detail = 'aud is "a", expected "b"';
  verdict = { ...INACTIVE, code: 'jwt_audience_mismatch', detail };
  const answer = await ask();
  expect(log.lines.at(-1)?.fields).toMatchObject({ device: 'ekg-1', code: 'jwt_audience_mismatch', detail });
  expect(JSON.stringify(answer)).not.toContain('expected');
});

describe('the audit has one record', () => {
  const common = { kind: 'relay', device: 'ekg-1', request: 'r1', token: sha256(TOKEN), freshness, evidence };

  test('of a token that is active, with its holder', async () => {
    await ask({ proof: await proof() });
    expect(audit.entries).toEqual([
      { ...common, issuer: ISSUER, subject: 'doctor-7', proof: 'dpop', verdict: 'active', code: undefined },
    ]);
  });

  test('of a proof that is refused, and why', async () => {
    await ask();
    expect(audit.entries).toEqual([
      { ...common, issuer: ISSUER, subject: 'doctor-7', proof: 'none', verdict: 'inactive', code: 'proof_missing' },
    ]);
  });

  test('of a token that is not good, with nobody’s name', async () => {
    verdict = INACTIVE;
    await ask();
    expect(audit.entries).toMatchObject([
      { issuer: ISSUER, subject: undefined, verdict: 'inactive', code: 'token_inactive' },
    ]);
  });

  test('and the log no token', async () => {
    await ask({ proof: await proof() });
    expect(JSON.stringify(log.lines)).toContain('relay_verdict');
    expect(JSON.stringify(log.lines)).not.toContain(TOKEN);
  });
});

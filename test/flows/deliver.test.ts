import { describe, expect, test } from 'vitest';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { Secret } from '../../src/core/secret.ts';
import type { VerifiedToken } from '../../src/core/verified-token.ts';
import { DeliveryQueue } from '../../src/devices/delivery-queue.ts';
import type { Device } from '../../src/devices/device.ts';
import { Registry } from '../../src/devices/registry.ts';
import { type DeliverDependencies, DeliverFlow } from '../../src/flows/deliver.ts';
import type { Dispatcher } from '../../src/flows/dispatch.ts';
import type { Difficulty } from '../../src/ports/admin.ts';
import type { PresentedToken } from '../../src/ports/northbound.ts';
import type { TranslatedToken } from '../../src/token/translate.ts';
import { AuditList } from '../fakes/audit-list.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FaultyStore } from '../fakes/faulty-store.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { AUDIENCE, deviceProfile, verifiedToken } from '../fixtures/verified-token.ts';

const DEVICE: Device = {
  id: 'tube-1',
  audience: AUDIENCE,
  line: 'bench',
  profile: deviceProfile(),
  issuers: undefined,
  rootKey: new Secret(new Uint8Array(32)),
  trustVersion: 1,
  addedAt: 1_700_000_000,
};

const BOUND = { confirmation: { jkt: 'thumbprint' } };
const PROOF_KEY: JsonObject = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
const CANARY = 'canary-token';

function translated(): TranslatedToken {
  const cwt = new Secret(new Uint8Array([1, 2, 3]));
  return {
    cwt,
    tokenHash: new Uint8Array(8),
    cti: new Uint8Array(16),
    expiresAt: 1_700_000_600,
    scope: ['read'],
  } as never;
}

/** The flow over a real queue; what judges a token answers as told, and what was asked of it is kept. */
async function setup(
  token: VerifiedToken = verifiedToken(),
  changes: Partial<DeliverDependencies> = {},
  difficulty?: Difficulty,
) {
  const [log, store, time] = [new QuietLog(), new FaultyStore(), new FakeTime()];
  const registry = new Registry({ store, log });
  await registry.add(DEVICE);
  const queue = new DeliveryQueue({ store, log, clock: time });
  const asked = {
    woken: [] as string[],
    proofs: 0,
    proofKeys: [] as (JsonObject | undefined)[],
    bindings: [] as (readonly [string, number])[],
  };
  let settled = async (id: string) => queue.get(id);
  const dispatcher = {
    wake: (id: string) => void asked.woken.push(id),
    settled: (id: string) => settled(id),
    difficulty: () => difficulty,
  } as unknown as Dispatcher;
  const setSettled = (by: typeof settled) => {
    settled = by;
  };
  const flow = new DeliverFlow({
    registry,
    queue,
    dispatcher,
    random: time,
    verify: async () => token,
    judgeProof: () => {
      asked.proofs += 1;
      return PROOF_KEY;
    },
    openConfirmationKey: async () => undefined,
    bindings: {
      ownerOf: () => undefined,
      bind: async (request) => {
        asked.bindings.push([request.thumbprint, queue.waiting('tube-1')]);
      },
    },
    translate: (_, __, { proofKey }) => {
      asked.proofKeys.push(proofKey);
      return translated();
    },
    hints: { of: async () => undefined },
    audit: new AuditList(),
    wait: 0,
    ...changes,
  });
  const deliver = (presented: Partial<PresentedToken> = {}, id = 'tube-1', peer?: string) =>
    flow.deliver(
      id,
      { scheme: 'Bearer', token: new Secret(CANARY), proof: undefined, method: 'POST', uris: [], ...presented },
      { id: 'r1', log, peer },
    );
  return { deliver, registry, queue, store, log, asked, setSettled };
}

const DPOP = { scheme: 'DPoP', proof: new Secret('proof') } as const;

describe('nothing is queued', () => {
  test.each<[string, VerifiedToken, Partial<PresentedToken>, string]>([
    ['for a bound token that comes as Bearer', verifiedToken(BOUND), {}, 'proof_missing'],
    [
      'for a bound token that comes as Bearer with a proof',
      verifiedToken(BOUND),
      { proof: new Secret('p') },
      'proof_missing',
    ],
    ['for a bound token without a proof', verifiedToken(BOUND), { scheme: 'DPoP' }, 'proof_missing'],
    ['for a proof with a token that is not bound', verifiedToken(), DPOP, 'proof_key_mismatch'],
    ['for a proof beside a Bearer token', verifiedToken(), { proof: new Secret('p') }, 'proof_key_mismatch'],
    ['for a jkt that is no text', verifiedToken({ confirmation: { jkt: 1 } }), DPOP, 'confirmation_invalid'],
  ])('%s', async (_, token, presented, code) => {
    const { deliver, queue, asked } = await setup(token);
    await expect(deliver(presented)).rejects.toMatchObject({ code });
    expect({ waiting: queue.waiting('tube-1'), ...asked }).toMatchObject({
      waiting: 0,
      woken: [],
      proofs: 0,
      proofKeys: [],
    });
  });

  test('for a device that nobody registered, and the token is not looked at', async () => {
    let looked = false;
    const { deliver } = await setup(verifiedToken(), {
      verify: async () => {
        looked = true;
        return verifiedToken();
      },
    });
    await expect(deliver({}, 'tube-2')).rejects.toMatchObject({ code: 'device_unknown' });
    expect(looked).toBe(false);
  });

  test('for an encrypted token, and nothing that it says is repeated to its client', async () => {
    const scopes = new LatchkeyError('scope_empty', 'scope is "admin", expected "read"');
    const refusing = {
      translate: () => {
        throw scopes;
      },
    };
    const { deliver } = await setup(verifiedToken({ confirmation: { kid: 'k' } }), refusing);
    const jws = new Secret(`${Buffer.from('{"alg":"ES256"}').toString('base64url')}.e30.AAAA`);
    const jwe = new Secret(`${Buffer.from('{"alg":"dir"}').toString('base64url')}.AA.AA.AA.AA`);
    await expect(deliver({ token: jws })).rejects.toMatchObject({ code: 'scope_empty', peerDetail: scopes.detail });
    const refused = deliver({ token: jwe });
    await expect(refused).rejects.toMatchObject({ code: 'scope_empty', detail: scopes.detail, peerDetail: undefined });
  });

  test.each(['verify', 'judgeProof', 'translate'] as const)('where %s refuses', async (step) => {
    const refuse = () => {
      throw new LatchkeyError('jwt_expired');
    };
    const change = step === 'verify' ? { verify: async () => refuse() } : { [step]: refuse };
    const { deliver, queue, store } = await setup(verifiedToken(BOUND), change);
    const before = store.writes;
    await expect(deliver(DPOP)).rejects.toMatchObject({ code: 'jwt_expired' });
    expect([queue.waiting('tube-1'), store.writes]).toEqual([0, before]);
  });

  test('where the medium does not take it', async () => {
    const { deliver, store, asked } = await setup();
    store.failAt(1);
    await expect(deliver()).rejects.toThrow('the medium failed');
    expect(asked.woken).toEqual([]);
  });

  test('for a device that was removed while the token was judged', async () => {
    const holder: { remove?: () => Promise<void> } = {};
    const { deliver, registry, queue } = await setup(verifiedToken(), {
      verify: async () => {
        await holder.remove?.();
        return verifiedToken();
      },
    });
    holder.remove = () => registry.remove('tube-1');
    await expect(deliver()).rejects.toMatchObject({ code: 'device_unknown' });
    expect(queue.waiting('tube-1')).toBe(0);
  });
});

test('a good token waits durably before its device is woken, and its view holds no token', async () => {
  const { deliver, store, asked } = await setup();
  const view = await deliver();
  expect(view).toMatchObject({ state: 'queued', device: 'tube-1', scope: 'read', expires_at: 1_700_000_600 });
  expect([...store.entries.keys()].some((key) => key.endsWith(view.delivery))).toBe(true);
  expect(asked.woken).toEqual(['tube-1']);
  expect(JSON.stringify(view)).not.toContain('AQID');
});

test('the key of a good proof goes into the translation', async () => {
  const { deliver, asked } = await setup(verifiedToken(BOUND));
  await deliver(DPOP);
  expect(asked).toMatchObject({ proofs: 1, proofKeys: [PROOF_KEY] });
});

test('the log names delivery, device and token hash, and holds no token', async () => {
  const { deliver, log } = await setup();
  const { delivery } = await deliver();
  expect(log.lines.at(-1)?.fields).toMatchObject({
    event: 'delivery_queued',
    delivery,
    device: 'tube-1',
    token_hash: 'AAAAAAAAAAA',
  });
  expect(JSON.stringify(log.lines)).not.toContain(CANARY);
});

test('an encrypted token is named as its client has it, and its bytes are those of the JWE', async () => {
  const envelope = { digest: new Uint8Array(32).fill(7), bytes: 900 };
  const peers: unknown[] = [];
  const audit = new AuditList();
  const token = verifiedToken({ envelope });
  const { deliver, log, queue } = await setup(token, {
    audit,
    verify: async (_jwt, _device, peer) => {
      peers.push(peer);
      return token;
    },
  });
  const { bytes, delivery } = await deliver({}, 'tube-1', '192.0.2.1');
  expect(bytes.jwt).toBe(900);
  expect(audit.entries[0]?.token).toEqual(envelope.digest);
  expect(queue.get(delivery).origin?.digest).toEqual(envelope.digest);
  expect(log.lines.at(-1)?.fields).toMatchObject({ digest: 'BwcHBwcHBwc' });
  // Whose turn it is to be decrypted is for the verifier to decide.
  expect(peers).toEqual(['192.0.2.1']);
});

describe('for a device without a clock', () => {
  const HINTS = { audience: AUDIENCE, cnonce: 'AQIDBA' };
  const missing = () => {
    throw new LatchkeyError('cnonce_missing');
  };

  /** A device that says what it wants, and who asked it. */
  function hinting() {
    const asked: string[] = [];
    const of = async ({ id }: Device) => {
      asked.push(id);
      return HINTS;
    };
    return { asked, hints: { of } };
  }

  test('a good token without its nonce is refused with a fresh one', async () => {
    const { asked, hints } = hinting();
    const { deliver } = await setup(verifiedToken(), { translate: missing, hints });
    await expect(deliver()).rejects.toMatchObject({ code: 'cnonce_missing', hints: HINTS });
    expect(asked).toEqual(['tube-1']);
  });

  test('a token that is not good gets none: a stranger cannot make the device work', async () => {
    const { asked, hints } = hinting();
    const refuse = async () => {
      throw new LatchkeyError('jwt_expired');
    };
    const { deliver } = await setup(verifiedToken(), { verify: refuse, hints });
    await expect(deliver()).rejects.toMatchObject({ code: 'jwt_expired' });
    expect(asked).toEqual([]);
  });

  test('a nonce that the device finds too old is answered with a fresh one', async () => {
    const { hints } = hinting();
    const translate = () => ({ ...translated(), expiresIn: 300 }) as never;
    const { deliver, queue, setSettled } = await setup(verifiedToken(), { translate, hints });
    const refused = { state: 'refused', deviceCode: '4.01', code: 'device_refused_token' } as const;
    setSettled(async (id) => (await queue.end(id, refused)).delivery);
    expect(await deliver()).toMatchObject({ state: 'refused', device_code: '4.01', creation_hints: HINTS });
  });
});

describe('a token that its issuer bound to no key, with bind = "first-presenter"', () => {
  const unbound = (changes: Partial<VerifiedToken> = {}) =>
    verifiedToken({ confirmation: undefined, bind: 'first-presenter', ...changes });
  const THUMBPRINT = 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k';

  test.each([
    ['DPoP', DPOP],
    ['Bearer', { scheme: 'Bearer', proof: new Secret('proof') } as const],
  ])('is bound to the key of its proof before it waits for the device, in the scheme %s', async (_, presented) => {
    const { deliver, asked, queue } = await setup(unbound());
    await deliver(presented);
    expect(asked).toMatchObject({ proofs: 1, proofKeys: [PROOF_KEY], bindings: [[THUMBPRINT, 0]] });
    expect(queue.waiting('tube-1')).toBe(1);
  });

  test.each(['Bearer', 'DPoP'] as const)('is refused without a proof, in the scheme %s', async (scheme) => {
    const { deliver, asked } = await setup(unbound());
    await expect(deliver({ scheme })).rejects.toMatchObject({ code: 'proof_missing' });
    expect(asked).toMatchObject({ proofs: 0, bindings: [] });
  });

  test('is not queued where it is bound to another key', async () => {
    const bind = async () => {
      throw new LatchkeyError('token_bound_elsewhere');
    };
    const { deliver, queue } = await setup(unbound(), { bindings: { bind, ownerOf: () => undefined } });
    await expect(deliver(DPOP)).rejects.toMatchObject({ code: 'token_bound_elsewhere' });
    expect(queue.waiting('tube-1')).toBe(0);
  });

  test('is refused with another key before its proof counts as used', async () => {
    const expected: (string | undefined)[] = [];
    const judgeProof: DeliverDependencies['judgeProof'] = (_, __, thumbprint) => {
      expected.push(thumbprint);
      throw new LatchkeyError('proof_key_mismatch');
    };
    const bindings = { bind: async () => undefined, ownerOf: () => 'owner' };
    const { deliver } = await setup(unbound(), { bindings, judgeProof });
    await expect(deliver(DPOP)).rejects.toMatchObject({ code: 'token_bound_elsewhere' });
    expect(expected).toEqual(['owner']);
  });

  test('is bound to no key where it cannot be translated', async () => {
    const translate = () => {
      throw new LatchkeyError('scope_empty');
    };
    const { deliver, asked } = await setup(unbound(), { translate });
    await expect(deliver(DPOP)).rejects.toMatchObject({ code: 'scope_empty' });
    expect(asked.bindings).toEqual([]);
  });

  test('is not bound where it has a key of its own', async () => {
    const { deliver, asked } = await setup(verifiedToken({ bind: 'first-presenter' }));
    await deliver();
    expect(asked).toMatchObject({ proofs: 0, bindings: [] });
  });

  test.each([
    ['token', 'first-presenter', 'confirmation_missing', 0],
    ['first-presenter', 'token', 'none', 1],
    ['issuer', 'first-presenter', 'none', 1],
    ['issuer', 'token', 'confirmation_missing', 0],
  ] as const)(
    'is bound as the device has it, before the issuer: %s, with %s of the issuer',
    async (ofDevice, bind, code, bound) => {
      const { deliver, asked, registry } = await setup(unbound({ bind }));
      await registry.update(registry.get('tube-1'), { profile: deviceProfile({ bind: ofDevice }) });
      expect(await asyncCodeOf(deliver(DPOP))).toBe(code);
      expect(asked.bindings).toHaveLength(bound);
    },
  );
});

test('a client whose token waits for room on the device is told so', async () => {
  const { deliver } = await setup(verifiedToken(), {}, { code: 'device_full', failures: 1 });
  expect(await deliver()).toMatchObject({ state: 'queued', code: 'device_full' });
});

test('of other reasons to wait a client learns nothing', async () => {
  const { deliver } = await setup(verifiedToken(), {}, { code: 'link_down', failures: 0 });
  expect(await deliver()).not.toHaveProperty('code');
});

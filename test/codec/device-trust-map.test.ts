import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CborKey, type CborMap, type CborValue, decodeCbor, encodeCbor } from '../../src/codec/cbor.ts';
import {
  type DeviceTrust,
  decodeDeviceTrust,
  decodeProvisionedTrust,
  encodeDeviceTrust,
  encodeProvisionedTrust,
} from '../../src/codec/device-trust-map.ts';
import { COSE_KEY, DEVICE_TRUST } from '../../src/codec/iana.ts';
import { concat, hex } from '../../src/core/bytes.ts';
import { codeOf } from '../fixtures/code-of.ts';
import { JWK } from '../fixtures/cose-keys.ts';
import { deviceTrust, PROVISIONED, signingJwk, TRUST } from '../fixtures/device-trust.ts';

const SIGNED: DeviceTrust = {
  ...TRUST,
  wrap: 'sign1+encrypt0',
  authentication: 'ES256',
  hubKeys: [signingJwk('ES256', 'now'), signingJwk('ES256', 'next')],
  issuers: [{ issuer: 'https://as.example', keys: [signingJwk('EdDSA')] }],
};

function map(trust: DeviceTrust = TRUST): Map<CborKey, CborValue> {
  return new Map(decodeCbor(encodeDeviceTrust(trust)) as CborMap);
}

function changed(label: number, value: CborValue | undefined, trust: DeviceTrust = TRUST): Uint8Array {
  const members = map(trust);
  if (value === undefined) members.delete(label);
  else members.set(label, value);
  return encodeCbor(members);
}

function firstKey(trust: DeviceTrust = SIGNED): Map<CborKey, CborValue> {
  const [key] = map(trust).get(DEVICE_TRUST.hubKeys) as readonly CborMap[];
  return new Map(key);
}

describe('what a device trusts', () => {
  it('reads as it was written, whatever it is', () => {
    fc.assert(
      fc.property(deviceTrust(), (trust) => {
        const bytes = encodeDeviceTrust(trust);
        const read = decodeDeviceTrust(bytes);
        expect(read).toEqual(trust);
        expect(hex(encodeDeviceTrust(read))).toBe(hex(bytes));
      }),
    );
  });

  it('reads with its root key as it was provisioned', () => {
    const { trust, rootKey } = decodeProvisionedTrust(encodeProvisionedTrust(PROVISIONED));
    expect(trust).toEqual(TRUST);
    expect(hex(rootKey.expose())).toBe(hex(PROVISIONED.rootKey.expose()));
  });

  it('says signing keys with kid and alg, and the issuers', () => {
    expect(decodeDeviceTrust(encodeDeviceTrust(SIGNED))).toEqual(SIGNED);
  });

  it('need not say the time', () => {
    expect(decodeDeviceTrust(encodeDeviceTrust({ ...TRUST, time: undefined })).time).toBeUndefined();
  });

  it('has no algorithm of a signature or MAC where nothing but encryption protects a token', () => {
    const trust: DeviceTrust = { ...TRUST, wrap: 'encrypt0', authentication: undefined };
    expect(decodeDeviceTrust(encodeDeviceTrust(trust)).authentication).toBeUndefined();
  });

  it('knows a scope that is called like the prototype of an object', () => {
    const permissions = Object.fromEntries([['__proto__', [['temperature', 1]]]] as const);
    const read = decodeDeviceTrust(encodeDeviceTrust({ ...TRUST, permissions })).permissions;
    expect(Object.keys(read)).toEqual(['__proto__']);
  });

  it('does not print the root key', () => {
    const read = decodeProvisionedTrust(encodeProvisionedTrust(PROVISIONED));
    const text = `${inspect(read, { depth: 9, showHidden: true })}${JSON.stringify(read)}`;
    expect(text).not.toContain(hex(PROVISIONED.rootKey.expose()));
    expect(text).not.toContain('30, 31');
  });

  it('reads nothing out of noise but coded errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(codeOf(() => decodeDeviceTrust(bytes))).toBe('device_trust_invalid');
      }),
    );
  });

  it('does not survive the loss of any of its bytes', () => {
    const bytes = encodeProvisionedTrust(PROVISIONED);
    for (let length = 0; length < bytes.length; length++) {
      expect(codeOf(() => decodeProvisionedTrust(bytes.subarray(0, length)))).toBe('device_trust_invalid');
    }
  });
});

describe('trust is refused', () => {
  const rows: readonly (readonly [string, Uint8Array])[] = [
    ['that is no map', encodeCbor([1, 2])],
    ['with an unknown label', changed(16, 1)],
    ['with a label that is text', encodeCbor(new Map([...map(), ['version', 1]] as never))],
    ['in which a version is missing', changed(DEVICE_TRUST.version, undefined)],
    ['of version 0', changed(DEVICE_TRUST.version, 0)],
    ['of a version past 32 bits', changed(DEVICE_TRUST.version, 0x1_0000_0000)],
    ['for a device whose id is none', changed(DEVICE_TRUST.device, 'Tube 1')],
    ['without audience', changed(DEVICE_TRUST.audience, undefined)],
    ['with an empty audience', changed(DEVICE_TRUST.audience, '')],
    ['with an audience of 256 bytes', changed(DEVICE_TRUST.audience, 'a'.repeat(256))],
    ['with a time before 1970', changed(DEVICE_TRUST.time, -1)],
    ['with a time past what is exact', changed(DEVICE_TRUST.time, 2n ** 60n)],
    ['with a wrap that nobody knows', changed(DEVICE_TRUST.wrap, 'mac')],
    ['with a tag that is neither', changed(DEVICE_TRUST.cwtTag, 1)],
    ['with a form of scope that nobody knows', changed(DEVICE_TRUST.scopeForm, 'json')],
    ['with tokens of 63 bytes', changed(DEVICE_TRUST.maxTokenBytes, 63)],
    ['with tokens of 16385 bytes', changed(DEVICE_TRUST.maxTokenBytes, 16_385)],
    ['with a receipt that nobody knows', changed(DEVICE_TRUST.receipt, 'sign1')],
    ['without a list of hub keys', changed(DEVICE_TRUST.hubKeys, undefined)],
    ['with hub keys for a device that checks MACs', changed(DEVICE_TRUST.hubKeys, [firstKey()])],
    ['without hub keys for a device that checks signatures', changed(DEVICE_TRUST.hubKeys, [], SIGNED)],
    ['with a hub key of another algorithm than the wrap', changed(DEVICE_TRUST.authentication, -8, SIGNED)],
    [
      'with a hub key without kid',
      changed(DEVICE_TRUST.hubKeys, [new Map([...firstKey()].filter(([label]) => label !== COSE_KEY.kid))], SIGNED),
    ],
    [
      'with a hub key without alg',
      changed(DEVICE_TRUST.hubKeys, [new Map([...firstKey()].filter(([label]) => label !== COSE_KEY.alg))], SIGNED),
    ],
    ['with one hub key twice', changed(DEVICE_TRUST.hubKeys, [firstKey(), firstKey()], SIGNED)],
    [
      'with nine hub keys',
      changed(
        DEVICE_TRUST.hubKeys,
        Array.from({ length: 9 }, (_, index) => firstKey().set(COSE_KEY.kid, Uint8Array.of(0x61 + index))),
        SIGNED,
      ),
    ],
    [
      'with the private key of the hub',
      changed(DEVICE_TRUST.hubKeys, [firstKey().set(COSE_KEY.d, new Uint8Array(32).fill(1))], SIGNED),
    ],
    [
      'with a parameter of a key that nobody looks at',
      changed(DEVICE_TRUST.hubKeys, [firstKey().set(COSE_KEY.baseIv, Uint8Array.of(1))], SIGNED),
    ],
    [
      'with a point that is not on the curve',
      changed(DEVICE_TRUST.hubKeys, [firstKey().set(COSE_KEY.y, new Uint8Array(32).fill(1))], SIGNED),
    ],
    [
      'with a kid that is no text',
      changed(DEVICE_TRUST.hubKeys, [firstKey().set(COSE_KEY.kid, Uint8Array.of(0xff))], SIGNED),
    ],
    [
      'with a kid of no bytes',
      changed(DEVICE_TRUST.hubKeys, [firstKey().set(COSE_KEY.kid, new Uint8Array(0))], SIGNED),
    ],
    ['with a key that is no map', changed(DEVICE_TRUST.hubKeys, [1], SIGNED)],
    [
      'with a secret among the keys of an issuer',
      changed(DEVICE_TRUST.issuers, [['https://as.example', [secretKey()]]]),
    ],
    ['with issuers that are no list', changed(DEVICE_TRUST.issuers, new Map())],
    ['with an issuer without keys', changed(DEVICE_TRUST.issuers, [['https://as.example']])],
    ['with an issuer of three parts', changed(DEVICE_TRUST.issuers, [['https://as.example', [], 1]])],
    ['with an issuer without a name', changed(DEVICE_TRUST.issuers, [['', []]])],
    [
      'with one issuer twice',
      changed(DEVICE_TRUST.issuers, [
        ['https://as.example', []],
        ['https://as.example', []],
      ]),
    ],
    [
      'with nine issuers',
      changed(
        DEVICE_TRUST.issuers,
        Array.from({ length: 9 }, (_, index) => [`https://as-${index}.example`, []]),
      ),
    ],
    ['without permissions', changed(DEVICE_TRUST.permissions, undefined)],
    ['without a scope', changed(DEVICE_TRUST.permissions, new Map())],
    ['with a scope that is a number', changed(DEVICE_TRUST.permissions, new Map([[1, []]]))],
    ['with a scope that has a space in it', changed(DEVICE_TRUST.permissions, new Map([['a b', []]]))],
    ['with permissions that are no list', changed(DEVICE_TRUST.permissions, new Map([['read', 'temperature']]))],
    ['with a permission without methods', changed(DEVICE_TRUST.permissions, new Map([['read', [['temperature']]]]))],
    ['with a method set of none', changed(DEVICE_TRUST.permissions, new Map([['read', [['temperature', 0]]]]))],
    ['with an eighth method', changed(DEVICE_TRUST.permissions, new Map([['read', [['temperature', 128]]]]))],
    [
      'with 65 scopes',
      changed(DEVICE_TRUST.permissions, new Map(Array.from({ length: 65 }, (_, index) => [`s${index}`, []] as const))),
    ],
    [
      'with 33 rows for a scope',
      changed(DEVICE_TRUST.permissions, new Map([['read', Array.from({ length: 33 }, () => ['t', 1])]])),
    ],
    ['without authentication', changed(DEVICE_TRUST.authentication, undefined)],
    ['with an authentication that does not go with the wrap', changed(DEVICE_TRUST.authentication, -7)],
    [
      'with an authentication where there is none',
      changed(DEVICE_TRUST.authentication, 4, { ...TRUST, wrap: 'encrypt0', authentication: undefined }),
    ],
    ['with an encryption that is none', changed(DEVICE_TRUST.encryption, 4)],
    ['with an algorithm that nobody knows', changed(DEVICE_TRUST.encryption, 99)],
    ['with a root key in a bundle', encodeProvisionedTrust(PROVISIONED)],
  ];
  for (const [name, bytes] of rows) {
    it(name, () => expect(codeOf(() => decodeDeviceTrust(bytes))).toBe('device_trust_invalid'));
  }

  it('whose members stand in another order', () => {
    const bytes = encodeDeviceTrust({ ...TRUST, time: undefined, permissions: { read: [] } });
    const end = bytes.length - 4;
    // The last two members are a label and a one-byte number each.
    const swapped = concat(bytes.subarray(0, end), bytes.subarray(end + 2), bytes.subarray(end, end + 2));
    expect(codeOf(() => decodeDeviceTrust(bytes))).toBe('none');
    expect(codeOf(() => decodeDeviceTrust(swapped))).toBe('device_trust_invalid');
  });

  it('past 8 KiB', () => {
    const rowsOf = (size: number) => Array.from({ length: 30 }, () => ['p'.repeat(size), 1]);
    const permissions = new Map([
      ['a', rowsOf(200)],
      ['b', rowsOf(200)],
    ]);
    expect(codeOf(() => decodeDeviceTrust(changed(DEVICE_TRUST.permissions, permissions)))).toBe(
      'device_trust_invalid',
    );
  });

  it('without a root key where it is provisioned', () => {
    expect(codeOf(() => decodeProvisionedTrust(encodeDeviceTrust(TRUST)))).toBe('device_trust_invalid');
  });

  it('with a root key of 16 bytes', () => {
    const bytes = changed(DEVICE_TRUST.rootKey, new Uint8Array(16));
    expect(codeOf(() => decodeProvisionedTrust(bytes))).toBe('device_trust_invalid');
  });

  it('before it is written', () => {
    expect(codeOf(() => encodeDeviceTrust({ ...TRUST, version: 0 }))).toBe('device_trust_invalid');
    expect(codeOf(() => encodeDeviceTrust({ ...SIGNED, hubKeys: [JWK['HMAC 256/64']] }))).toBe('device_trust_invalid');
  });

  it('with a key of an algorithm that is none, before it is written', () => {
    const hubKeys = [{ ...signingJwk('ES256', 'k'), alg: 'none' }];
    expect(codeOf(() => encodeDeviceTrust({ ...SIGNED, hubKeys }))).toBe('jwk_invalid');
  });
});

function secretKey(): CborMap {
  return new Map<CborKey, CborValue>([
    [COSE_KEY.kty, 4],
    [COSE_KEY.alg, 4],
    [COSE_KEY.k, new Uint8Array(32)],
  ]);
}

describe('keys that many devices trust', () => {
  it('are checked once: each is one object, whichever device it is read for', () => {
    const [one, other] = ['tube-1', 'tube-2'].map((device) =>
      decodeDeviceTrust(encodeDeviceTrust({ ...SIGNED, device })),
    );
    expect(one?.hubKeys[0]).toBe(other?.hubKeys[0]);
    expect(one?.issuers[0]?.keys[0]).toBe(other?.issuers[0]?.keys[0]);
    expect(Object.isFrozen(one?.hubKeys[0])).toBe(true);
  });
});

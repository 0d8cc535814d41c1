import { describe, expect, test } from 'vitest';
import { LatchkeyError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { boundedConditions, type HealthFacts, healthOf } from '../../src/flows/health.ts';
import type { IssuerStatus } from '../../src/trust/issuer-keys.ts';

const issuer: IssuerStatus = {
  issuer: 'https://as.example',
  source: 'discovery',
  keys: [],
  skipped: [],
  age: 10,
  offlineLimit: 1_000,
  lastError: undefined,
  nextRefresh: 5,
};
const asked = { issuer: 'https://as.example', state: 'ready', lastError: undefined, endpoint: 'known' } as const;
const noFaults = {
  isBeforeInitial: false,
  behindFloor: undefined,
  aheadOfKnown: undefined,
  differing: [],
  isSet: false,
};
const well: HealthFacts = {
  clock: 'sure',
  clockFaults: noFaults,
  issuers: [issuer],
  lines: [{ name: 'a', up: true, code: undefined }],
  radio: { adapter: 'hci0', up: true, code: undefined },
  stranded: [],
  unfinished: [],
  audit: undefined,
  stores: [],
  descriptorsExhausted: false,
  introspection: [asked],
  broker: { up: true, code: undefined },
  trust: [{ device: 'tube-1', state: 'current' }],
  trustWaitsSince: 1_000,
  full: [],
  reload: { refused: undefined, needsRestart: [] },
};

const codes = (changes: Partial<HealthFacts>) =>
  healthOf({ ...well, ...changes }).map(({ code, subject }) => `${subject}: ${code}`);

describe('healthOf', () => {
  test('finds nothing wrong with a hub that is well', () => {
    expect(healthOf(well)).toEqual([]);
  });

  test.each<[string, Partial<HealthFacts>, string]>([
    [
      'a line that brings noise',
      { lines: [{ name: 'a', up: true, code: undefined, troubles: ['line_noisy'] }] },
      'line a: line_noisy',
    ],
    [
      'a configuration that was refused',
      { reload: { refused: new LatchkeyError('config_syntax', 'a'), needsRestart: [] } },
      'configuration: reload_refused',
    ],
    [
      'settings that wait for a restart',
      { reload: { refused: undefined, needsRestart: ['http.listen'] } },
      'configuration: restart_needed',
    ],
    ['an unsure clock', { clock: 'unsure' }, 'clock: clock_unsure'],
    [
      'a clock that is behind the floor',
      { clock: 'unsure', clockFaults: { ...noFaults, behindFloor: 3_725 } },
      'clock (1 h 2 min behind the time floor): clock_behind_floor',
    ],
    [
      'a clock that is before the build of this version',
      { clock: 'unsure', clockFaults: { ...noFaults, behindFloor: 86_400, isBeforeInitial: true } },
      'clock (1 d 0 h behind the time floor): clock_before_release',
    ],
    [
      'a clock that is ahead of all that is known',
      { clockFaults: { ...noFaults, aheadOfKnown: 700 * 86_400 } },
      'clock (700 d 0 h ahead of all that confirmed a time): clock_ahead',
    ],
    [
      'a clock that is ahead of a server',
      {
        clockFaults: {
          ...noFaults,
          aheadOfKnown: 700 * 86_400,
          differing: [{ issuer: 'https://as.example', ahead: 700 * 86_400 }],
        },
      },
      'clock (700 d 0 h ahead of https://as.example): clock_ahead',
    ],
    [
      'a clock that is set over the network, and differs from a server',
      { clockFaults: { ...noFaults, isSet: true, differing: [{ issuer: 'https://as.example', ahead: 900 }] } },
      'clock (15 min ahead of https://as.example): as_clock_differs',
    ],
    [
      'a clock that is behind a server',
      { clockFaults: { ...noFaults, differing: [{ issuer: 'https://as.example', ahead: -7_200 }] } },
      'clock (2 h 0 min behind https://as.example): as_clock_differs',
    ],
    [
      'a device that refuses its trust',
      { trust: [{ device: 'a', state: 'refused' }] },
      'trust of a: device_refused_trust',
    ],
    ['a device whose key is lost', { trust: [{ device: 'a', state: 'lost' }] }, 'trust of a: trust_key_lost'],
    ['a device to see to by hand', { trust: [{ device: 'a', state: 'by_hand' }] }, 'trust of a: trust_by_hand'],
    [
      'a device that waits for its trust for too long',
      { trust: [{ device: 'a', state: 'waiting', waiting_since: 1_000 }] },
      'trust of a: trust_waiting',
    ],
    ['a hub without issuer', { issuers: [] }, 'issuers: jwt_issuer_unknown'],
    [
      'an issuer never reached',
      { issuers: [{ ...issuer, age: undefined, lastError: 'as_timeout' }] },
      'https://as.example: as_timeout',
    ],
    ['keys past their limit', { issuers: [{ ...issuer, age: 1_001 }] }, 'https://as.example: keys_too_old'],
    [
      'an issuer out of reach for half its limit',
      { issuers: [{ ...issuer, age: 501, lastError: 'as_unreachable' }] },
      'https://as.example: as_unreachable',
    ],
    [
      'a line without permission',
      { lines: [{ name: 'a', up: false, code: 'line_permission' }] },
      'line a: line_permission',
    ],
    [
      'a radio that is blocked',
      { radio: { adapter: 'hci0', up: false, code: 'radio_blocked' } },
      'radio hci0: radio_blocked',
    ],
    ['a radio not opened yet', { radio: { adapter: 'auto', up: false, code: undefined } }, 'radio auto: radio_failed'],
    [
      'an issuer that is given a pause',
      { introspection: [{ ...asked, state: 'suspended', lastError: 'as_timeout' }] },
      'introspection at https://as.example: as_timeout',
    ],
    ...(['introspection_client_refused', 'introspection_answer_untrusted', 'as_tls_untrusted'] as const).map(
      (lastError): [string, Partial<HealthFacts>, string] => [
        `the first ${lastError}, which does not pass by itself`,
        { introspection: [{ ...asked, lastError }] },
        `introspection at https://as.example: ${lastError}`,
      ],
    ),
    [
      'an issuer that offers no introspection',
      { introspection: [{ ...asked, endpoint: 'none' }] },
      'introspection at https://as.example: introspection_unavailable',
    ],
    [
      'an issuer that could not be asked yet where it introspects, though its keys are young',
      { issuers: [{ ...issuer, lastError: 'as_timeout' }], introspection: [{ ...asked, endpoint: 'unknown' }] },
      'introspection at https://as.example: as_timeout',
    ],
    ['a broker that refuses the hub', { broker: { up: false, code: 'broker_refused' } }, 'MQTT broker: broker_refused'],
    ['a broker not yet reached', { broker: { up: false, code: undefined } }, 'MQTT broker: broker_unreachable'],
    ['an audit that takes nothing', { audit: 'audit_failing' }, 'audit: audit_failing'],
    ['a full disk', { stores: [{ code: 'disk_full', path: '/state/db', detail: 'ENOSPC' }] }, '/state/db: disk_full'],
    ['a process without descriptors', { descriptorsExhausted: true }, 'process: descriptors_exhausted'],
    [
      'a device on a line that is gone',
      { stranded: [{ device: 'd', link: 'line x' }] },
      'device d (line x): link_unconfigured',
    ],
    ['a device that is half paired', { unfinished: ['d'] }, 'device d: pairing_unfinished'],
    ['a device that has been full for long', { full: ['tube-1'] }, 'device tube-1: device_full'],
  ])('names %s', (_, changes, expected) => {
    expect(codes(changes)).toEqual([expected]);
  });

  test('repeats what the system said of a disk', () => {
    const stores = [{ code: 'store_failing', path: '/state/db', detail: '000003.log: Input/output error' }] as const;
    expect(healthOf({ ...well, stores })[0]).toMatchObject({ detail: '000003.log: Input/output error' });
  });

  test('does not cry about a passing fault while the keys are young', () => {
    expect(codes({ issuers: [{ ...issuer, lastError: 'as_unreachable' }] })).toEqual([]);
  });

  test('does not cry about one question that failed, nor before the metadata was read for the first time', () => {
    expect(codes({ introspection: [{ ...asked, lastError: 'as_timeout' }] })).toEqual([]);
    expect(codes({ introspection: [{ ...asked, endpoint: 'unknown' }] })).toEqual([]);
  });

  test('names the issuers that a device has no room for', () => {
    const trust = [{ device: 'tube-1', state: 'current', issuers_left_out: ['https://as-9.example'] }] as const;
    expect(healthOf({ ...well, trust })).toMatchObject([
      { subject: 'trust of tube-1', code: 'trust_issuers_too_many', detail: 'https://as-9.example' },
    ]);
  });

  test('says what to do with every condition', () => {
    for (const condition of healthOf({ ...well, clock: 'unsure', issuers: [] }))
      expect(condition.fix.length).toBeGreaterThan(10);
  });
});

describe('a condition that many subjects have', () => {
  const stranded = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ device: `tube-${index}`, link: 'line gone' }));

  test('names the first ones and counts the others, and hides no other condition', () => {
    const most = LIMITS.conditionsOfOneCode;
    const found = boundedConditions(healthOf({ ...well, stranded: stranded(10_000), audit: 'audit_failing' }));
    expect(found).toHaveLength(most + 2);
    expect(found[most]).toMatchObject({ subject: `${10_000 - most} more`, code: 'link_unconfigured' });
    expect(found.at(-1)?.code).toBe('audit_failing');
  });

  test('is told in full where all of them fit', () => {
    const conditions = healthOf({ ...well, stranded: stranded(LIMITS.conditionsOfOneCode) });
    expect(boundedConditions(conditions)).toEqual(conditions);
  });
});

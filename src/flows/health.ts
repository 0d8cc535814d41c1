/** What is wrong right now, each with its stable code and what to do: for `latchkey status`. */

import type { ClockCertainty } from '../core/clock.ts';
import { CATALOGUE, type ErrorCode } from '../core/error-catalogue.ts';
import type { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { IntrospectorStatus } from '../pop/introspection/introspector.ts';
import type { HealthCondition, TrustView } from '../ports/admin.ts';
import type { StoreFault } from '../ports/store.ts';
import type { IssuerStatus } from '../trust/issuer-keys.ts';

type Introspection = Pick<IntrospectorStatus, 'endpoint' | 'issuer' | 'lastError' | 'state'>;

export interface HealthFacts {
  readonly clock: ClockCertainty;
  /** Seconds; as `TimeFloor` tells them. */
  readonly clockFaults: {
    readonly behindFloor: number | undefined;
    readonly isBeforeInitial: boolean;
    readonly aheadOfKnown: number | undefined;
    readonly differing: readonly { readonly issuer: string; readonly ahead: number }[];
    readonly isSet: boolean;
  };
  readonly issuers: readonly IssuerStatus[];
  readonly lines: readonly {
    readonly name: string;
    readonly up: boolean;
    readonly code: ErrorCode | undefined;
    /** What is wrong with it though it is open. */
    readonly troubles?: readonly ErrorCode[];
  }[];
  /** Undefined where none is configured. */
  readonly radio: { readonly adapter: string; readonly up: boolean; readonly code: ErrorCode | undefined } | undefined;
  /** Devices whose link is not configured. */
  readonly stranded: readonly { readonly device: string; readonly link: string }[];
  /** Devices that did not say yet that they are paired. */
  readonly unfinished: readonly string[];
  readonly audit: ErrorCode | undefined;
  readonly stores: readonly StoreFault[];
  /** Whether the process may open no more files: then nothing that cannot be reached is to blame. */
  readonly descriptorsExhausted: boolean;
  /** Issuers that are asked about tokens. */
  readonly introspection: readonly Introspection[];
  /** Undefined where no broker is configured. */
  readonly broker: { readonly up: boolean; readonly code: ErrorCode | undefined } | undefined;
  readonly trust: readonly Pick<TrustView, 'code' | 'device' | 'issuers_left_out' | 'state' | 'waiting_since'>[];
  /** Devices that tokens wait for, and that have been full for long. */
  readonly full: readonly string[];
  /** NumericDate: a device that has been waiting since before that waits for too long. */
  readonly trustWaitsSince: number;
  /** How the last reload of the configuration ended; undefined while the hub starts. */
  readonly reload:
    | { readonly refused: LatchkeyError | undefined; readonly needsRestart: readonly string[] }
    | undefined;
}

export function healthOf(facts: HealthFacts): readonly HealthCondition[] {
  return [
    ...(facts.descriptorsExhausted ? [condition('process', 'descriptors_exhausted')] : []),
    ...reloadConditions(facts.reload),
    ...facts.stores.map(({ code, detail, path }) => condition(path, code, detail)),
    ...clockConditions(facts),
    ...(facts.issuers.length === 0 ? [condition('issuers', 'jwt_issuer_unknown')] : []),
    ...facts.issuers.flatMap(issuerCondition),
    ...facts.introspection.flatMap((introspection) => {
      const code = introspectionFault(introspection, facts.issuers);
      return code === undefined ? [] : [condition(`introspection at ${introspection.issuer}`, code)];
    }),
    ...facts.lines.flatMap(lineConditions),
    ...(facts.radio === undefined || facts.radio.up
      ? []
      : [condition(`radio ${facts.radio.adapter}`, facts.radio.code ?? 'radio_failed')]),
    ...facts.stranded.map(({ device, link }) => condition(`device ${device} (${link})`, 'link_unconfigured')),
    ...facts.unfinished.map((device) => condition(`device ${device}`, 'pairing_unfinished')),
    ...facts.full.map((device) => condition(`device ${device}`, 'device_full')),
    ...(facts.broker === undefined || facts.broker.up
      ? []
      : [condition('MQTT broker', facts.broker.code ?? 'broker_unreachable')]),
    ...facts.trust.flatMap((device) => trustCondition(device, facts.trustWaitsSince)),
    ...facts.trust.flatMap(leftOutCondition),
    ...(facts.audit === undefined ? [] : [condition('audit', facts.audit)]),
  ];
}

function reloadConditions(reload: HealthFacts['reload']): readonly HealthCondition[] {
  const { needsRestart = [], refused } = reload ?? {};
  const reason = refused === undefined ? [] : [refused.code, refused.detail].filter((each) => each !== undefined);
  return [
    ...(reason.length === 0
      ? []
      : [condition('configuration', 'reload_refused', reason.join(': ').replaceAll('\n', '; '))]),
    ...(needsRestart.length === 0 ? [] : [condition('configuration', 'restart_needed', needsRestart.join(', '))]),
  ];
}

/** The same, where many subjects have the same condition: the first ones by name, and how many more there are. */
export function boundedConditions(conditions: readonly HealthCondition[]): readonly HealthCondition[] {
  const counts = new Map<string, number>();
  for (const { code } of conditions) counts.set(code, (counts.get(code) ?? 0) + 1);
  const seen = new Map<string, number>();
  return conditions.flatMap((condition) => {
    const { code } = condition;
    const number = (seen.get(code) ?? 0) + 1;
    seen.set(code, number);
    if (number <= LIMITS.conditionsOfOneCode) return [condition];
    const more = (counts.get(code) ?? 0) - LIMITS.conditionsOfOneCode;
    return number === LIMITS.conditionsOfOneCode + 1 ? [{ ...condition, subject: `${more} more` }] : [];
  });
}

function clockConditions({ clock, clockFaults }: Pick<HealthFacts, 'clock' | 'clockFaults'>) {
  const { aheadOfKnown, behindFloor, differing, isBeforeInitial, isSet } = clockFaults;
  const isUnsure = clock === 'unsure';
  return [
    ...(behindFloor === undefined
      ? []
      : [
          condition(
            `clock (${duration(behindFloor)} behind the time floor)`,
            isBeforeInitial ? 'clock_before_release' : 'clock_behind_floor',
          ),
        ]),
    ...(isUnsure && behindFloor === undefined ? [condition('clock', 'clock_unsure')] : []),
    // What a server says of the time says it better.
    ...(aheadOfKnown === undefined || differing.length > 0
      ? []
      : [condition(`clock (${duration(aheadOfKnown)} ahead of all that confirmed a time)`, 'clock_ahead')]),
    ...differing.map(({ ahead, issuer }) => {
      const words = `${duration(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} ${issuer}`;
      return condition(`clock (${words})`, ahead > 0 && !isSet ? 'clock_ahead' : 'as_clock_differs');
    }),
  ];
}

/** The two largest of its units. */
function duration(seconds: number): string {
  const parts = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60];
  const first = parts.findIndex((part) => part > 0);
  if (first === -1) return `${seconds} s`;
  return parts
    .map((part, index) => `${part} ${['d', 'h', 'min'][index]}`)
    .slice(first, first + 2)
    .join(' ');
}

function trustCondition(
  { code, device, state, waiting_since: since }: HealthFacts['trust'][number],
  limit: number,
): readonly HealthCondition[] {
  const subject = `trust of ${device}`;
  switch (state) {
    case 'refused':
      return [condition(subject, code ?? 'device_refused_trust')];
    case 'lost':
      return [condition(subject, code ?? 'trust_key_lost')];
    case 'by_hand':
      return [condition(subject, 'trust_by_hand')];
    case 'waiting':
      return since !== undefined && since <= limit ? [condition(subject, 'trust_waiting')] : [];
    case 'current':
      return [];
  }
}

function leftOutCondition({ device, issuers_left_out: leftOut }: HealthFacts['trust'][number]) {
  return leftOut === undefined ? [] : [condition(`trust of ${device}`, 'trust_issuers_too_many', leftOut.join(', '))];
}

function lineConditions({ code, name, troubles = [], up }: HealthFacts['lines'][number]): readonly HealthCondition[] {
  const codes = up ? troubles : [code ?? 'link_down'];
  return codes.map((each) => condition(`line ${name}`, each));
}

/** Keys that are held hide a passing fault: an issuer that could not be asked just now is no condition, old keys are. */
function issuerCondition({ age, issuer, lastError, offlineLimit }: IssuerStatus): readonly HealthCondition[] {
  if (age === undefined) return [condition(issuer, lastError ?? 'keys_unavailable')];
  if (age > offlineLimit) return [condition(issuer, 'keys_too_old')];
  if (lastError !== undefined && age > offlineLimit / 2) return [condition(issuer, lastError)];
  return [];
}

/** Failures that do not pass by themselves: somebody has to mend something, so the first one counts. */
const LASTING: ReadonlySet<ErrorCode> = new Set([
  'introspection_client_refused',
  'introspection_answer_untrusted',
  'as_tls_untrusted',
]);

function introspectionFault(
  { endpoint, issuer, lastError, state }: Introspection,
  issuers: HealthFacts['issuers'],
): ErrorCode | undefined {
  if (state !== 'ready') return lastError ?? 'introspection_suspended';
  if (lastError !== undefined && LASTING.has(lastError)) return lastError;
  if (endpoint === 'none') return 'introspection_unavailable';
  // Without an error its metadata is being read for the first time.
  return endpoint === 'unknown' ? issuers.find((each) => each.issuer === issuer)?.lastError : undefined;
}

function condition(subject: string, code: ErrorCode, detail?: string): HealthCondition {
  const { title, fix } = CATALOGUE[code];
  return { code, subject, title, fix, ...(detail === undefined ? {} : { detail }) };
}

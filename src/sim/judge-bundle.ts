/**
 * The device's verdict over a trust bundle that came to /trust (docs/protocol.md, "Trust bundles"). Pure, and written apart
 * from what the hub thinks of its devices: whatever is wrong, the device stays as it is.
 */
import { kindOf } from '../codec/cose/algorithm.ts';
import { type CoseKey, importJwk } from '../codec/cose/key.ts';
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import { COAP_CODE, COAP_METHOD } from '../codec/iana.ts';
import { bundleFormat, type OpenedBundle, openTrustBundle } from '../codec/trust-bundle.ts';
import type { TrustFile } from '../codec/trust-file.ts';
import { equal } from '../core/bytes.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { isCoded } from '../core/errors.ts';

/** Why a bundle was refused, with the code that goes back. Only the code travels. */
export const BUNDLE_REFUSALS = {
  not_taken: COAP_CODE.notFound,
  format_unsupported: COAP_CODE.unsupportedContentFormat,
  too_large: COAP_CODE.requestEntityTooLarge,
  unparsable: COAP_CODE.badRequest,
  not_authentic: COAP_CODE.unauthorized,
  unusable: COAP_CODE.badRequest,
  device_foreign: COAP_CODE.forbidden,
  old: COAP_CODE.conflict,
} as const;
export type BundleRefusal = keyof typeof BUNDLE_REFUSALS;

/** What a device trusts at one time. */
export interface HeldTrust {
  readonly trust: TrustFile;
  /** The trust map that it came in; undefined where it came in a file. */
  readonly payload: Uint8Array | undefined;
}

export type BundleVerdict =
  | { readonly kind: 'taken'; readonly held: HeldTrust; readonly time: number | undefined }
  /** The very same that it holds: its answer got lost. */
  | { readonly kind: 'known' }
  | { readonly kind: 'refused'; readonly reason: BundleRefusal };

/** Errors of the codecs that say "altered, or by a stranger". */
const NOT_AUTHENTIC: ReadonlySet<ErrorCode> = new Set([
  'cose_verification_failed',
  'cose_key_unknown',
  'cose_algorithm_refused',
] as const);

export function judgeBundle(bytes: Uint8Array, contentFormat: number | undefined, held: HeldTrust): BundleVerdict {
  const { trust } = held;
  const keys = bundleKeys(trust);
  const [first] = keys;
  if (first === undefined) return refused('not_taken');
  if (contentFormat !== bundleFormat(first)) return refused('format_unsupported');

  let bundle: OpenedBundle;
  try {
    bundle = openTrustBundle(bytes, { keys, audience: trust.audience });
  } catch (error) {
    if (!isCoded(error)) throw error;
    return refused(reasonOf(error.code));
  }
  if (bundle.trust.device !== trust.device) return refused('device_foreign');
  if (bundle.trust.version < trust.version) return refused('old');
  if (bundle.trust.version === trust.version)
    return held.payload !== undefined && equal(held.payload, bundle.payload) ? { kind: 'known' } : refused('old');
  const next = adopt(trust, bundle.trust);
  if (next === undefined) return refused('unusable');
  return { kind: 'taken', held: { trust: next, payload: bundle.payload }, time: bundle.trust.time };
}

/** A device that checks signatures takes bundles by the keys that it takes tokens by, another has a key for them alone. */
function bundleKeys({ bundleKey, keys, wrap }: TrustFile): readonly CoseKey[] {
  if (wrap.startsWith('sign1')) return keys.filter(({ algorithm }) => kindOf(algorithm) === 'sign1');
  return bundleKey === undefined ? [] : [bundleKey];
}

function reasonOf(code: ErrorCode): BundleRefusal {
  if (code === 'request_too_large') return 'too_large';
  if (code === 'device_trust_invalid') return 'unusable';
  return NOT_AUTHENTIC.has(code) ? 'not_authentic' : 'unparsable';
}

/**
 * What is trusted once the bundle is taken whole. The device's own secrets stay, and so do the algorithms that they are
 * for: a bundle that wants others cannot be followed by a device that holds derived keys only.
 */
function adopt(trust: TrustFile, bundle: DeviceTrust): TrustFile | undefined {
  const own = trust.keys.filter(({ algorithm }) => kindOf(algorithm) !== 'sign1');
  const hubKeys = bundle.hubKeys.map((jwk) => importJwk(jwk));
  const keys = [...hubKeys, ...own];
  const algorithms = new Set(keys.map(({ algorithm }) => algorithm));
  const needed = [...(bundle.authentication === undefined ? [] : [bundle.authentication]), bundle.encryption];
  if (bundle.wrap !== trust.wrap || needed.some((algorithm) => !algorithms.has(algorithm))) return undefined;
  return {
    ...trust,
    version: bundle.version,
    audience: bundle.audience,
    cwtTag: bundle.cwtTag,
    scopeForm: bundle.scopeForm,
    maxTokenBytes: bundle.maxTokenBytes,
    receipt: bundle.receipt,
    keys,
    issuers: bundle.issuers,
    permissions: Object.fromEntries(
      Object.entries(bundle.permissions).map(([scope, rows]) => [
        scope,
        rows.map(([path, methods]) => [path, methodNames(methods)] as const),
      ]),
    ),
  };
}

function methodNames(methods: number): readonly string[] {
  return Object.entries(COAP_METHOD)
    .filter(([, code]) => (methods & (1 << (code - 1))) !== 0)
    .map(([name]) => name);
}

function refused(reason: BundleRefusal): BundleVerdict {
  return { kind: 'refused', reason };
}

/** What a paired device works with: its trust with all keys derived (docs/protocol.md, "Keys"), in the form of a trust file. */
import { type CoseKey, importJwk } from '../codec/cose/key.ts';
import { deriveDeviceKey } from '../codec/device-keys.ts';
import type { DeviceTrust, ProvisionedTrust } from '../codec/device-trust-map.ts';
import { COAP_METHOD } from '../codec/iana.ts';
import type { TrustFile } from '../codec/trust-file.ts';
import type { Secret } from '../core/secret.ts';

const ANSWER_ALGORITHM = 'HMAC 256/64';
const TIME_ALGORITHM = 'HMAC 256/64';
const BUNDLE_ALGORITHM = 'HMAC 256/256';

export function trustFromRoot({ rootKey, trust }: ProvisionedTrust): TrustFile {
  return {
    version: trust.version,
    device: trust.device,
    audience: trust.audience,
    wrap: trust.wrap,
    cwtTag: trust.cwtTag,
    scopeForm: trust.scopeForm,
    maxTokenBytes: trust.maxTokenBytes,
    receipt: trust.receipt,
    keys: [...authenticationKeys(trust, rootKey), deriveDeviceKey(rootKey, 'token-encryption', trust.encryption).key],
    confirmationKeys: [],
    answerKey: deriveDeviceKey(rootKey, 'answer', ANSWER_ALGORITHM).key,
    timeKey: deriveDeviceKey(rootKey, 'time', TIME_ALGORITHM).key,
    bundleKey: trust.wrap.startsWith('sign1')
      ? undefined
      : deriveDeviceKey(rootKey, 'trust-bundle', BUNDLE_ALGORITHM).key,
    issuers: trust.issuers,
    permissions: permissionsOf(trust),
  };
}

function authenticationKeys(trust: DeviceTrust, rootKey: Secret<Uint8Array>): readonly CoseKey[] {
  if (trust.authentication === undefined) return [];
  if (trust.wrap.startsWith('sign1')) return trust.hubKeys.map((jwk) => importJwk(jwk));
  return [deriveDeviceKey(rootKey, 'token-mac', trust.authentication).key];
}

function permissionsOf({ permissions }: DeviceTrust): TrustFile['permissions'] {
  return Object.fromEntries(
    Object.entries(permissions).map(([scope, rows]) => [
      scope,
      rows.map(([path, methods]) => [path, methodNames(methods)] as const),
    ]),
  );
}

function methodNames(methods: number): readonly string[] {
  return Object.entries(COAP_METHOD)
    .filter(([, code]) => (methods & (1 << (code - 1))) !== 0)
    .map(([name]) => name);
}

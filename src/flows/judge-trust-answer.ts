/** What the answer of a device to a trust bundle means, and whether its key authenticates it. Pure. */
import { codeText } from '../codec/coap/codes.ts';
import { COAP_CODE } from '../codec/iana.ts';
import { openTrustAnswer } from '../codec/trust-bundle.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import { answerKey } from '../devices/device-trust.ts';
import type { PendingBundle } from '../devices/trust-record.ts';

/** Answers that refuse the bundle, or say that the device has no use for any; others are about the moment. */
const REFUSALS: ReadonlySet<string> = new Set(['4.00', '4.01', '4.03', '4.04', '4.05', '4.13', '4.15']);

export type TrustAnswer =
  /** Without a MAC a device that knows no bundles says so, and so can an attacker by radio. */
  | { readonly kind: 'refused'; readonly isProven: boolean }
  /** 4.09: the device holds this version, with other contents. */
  | { readonly kind: 'conflict'; readonly held: number }
  | { readonly kind: 'held' };

/**
 * @throws {LatchkeyError} `device_answer_untrusted` where the MAC is not that of the device for this bundle;
 *   `device_answer_invalid` for one that cannot be used
 */
export function judgeTrustAnswer(device: Device, { message, trust }: PendingBundle, answer: CoapResponse): TrustAnswer {
  const deviceCode = codeText(answer.code);
  const isRefusal = REFUSALS.has(deviceCode);
  if (isRefusal && answer.payload.length === 0) return { kind: 'refused', isProven: false };
  const isConflict = answer.code === COAP_CODE.conflict;
  if (!isRefusal && !isConflict && answer.code !== COAP_CODE.changed)
    throw new LatchkeyError('device_answer_invalid', deviceCode);
  const held = provenVersion(device, message, answer);
  if (isRefusal) return { kind: 'refused', isProven: true };
  const isAsAgreed = isConflict ? held >= trust.version : held === trust.version;
  if (!isAsAgreed) throw new LatchkeyError('device_answer_invalid', `${deviceCode}, trust version ${held}`);
  return isConflict ? { kind: 'conflict', held } : { kind: 'held' };
}

function provenVersion(device: Device, bundle: Uint8Array, { code, payload }: CoapResponse): number {
  try {
    return openTrustAnswer(payload, { key: answerKey(device), device: device.id, code, bundle });
  } catch (error) {
    // With a good MAC it is the device, whatever it says.
    if (!isCoded(error) || error.code === 'device_answer_invalid') throw error;
    throw new LatchkeyError('device_answer_untrusted', 'trust', { cause: error });
  }
}

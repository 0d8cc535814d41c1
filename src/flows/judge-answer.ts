/** What the answer of a device to a token means, and whose word it is. Pure. */
import { codeText, isSuccess } from '../codec/coap/codes.ts';
import { COAP_CODE } from '../codec/iana.ts';
import { openReceipt } from '../codec/signed-request.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import type { Outcome } from '../devices/delivery-queue.ts';
import type { Device } from '../devices/device.ts';
import { answerKey } from '../devices/device-trust.ts';

/** What an answer comes to, and whether the key of the device vouched for it. */
export interface Judgement {
  /** `full`: the device has no room for the token now, which does not end the delivery. */
  readonly outcome: Outcome | 'full';
  /** Undefined where the device has no way to. */
  readonly isProven: boolean | undefined;
}

/**
 * What a device's answer means for the delivery. An answer that says nothing about the token (a device that is busy, a
 * block that got lost) throws, and the delivery is tried again.
 * @throws {LatchkeyError} `device_answer_untrusted`, `device_answer_invalid`
 */
export function judgeAnswer(
  device: Device,
  attempt: { readonly tokenHash: Uint8Array; readonly nonce: Uint8Array; readonly isOpen: boolean },
  answer: CoapResponse,
): Judgement {
  const deviceCode = codeText(answer.code);
  const givesReceipts = device.profile.receipt !== 'none';
  const { isOpen, ...context } = attempt;
  const verify = (refusal?: number) => {
    try {
      openReceipt(answer.payload, { key: answerKey(device), audience: device.audience, ...context, refusal });
    } catch (error) {
      if (isCoded(error, 'device_answer_invalid')) throw error;
      throw new LatchkeyError('device_answer_untrusted', 'receipt', { cause: error });
    }
  };
  if (isSuccess(answer.code)) {
    if (givesReceipts) verify();
    return {
      isProven: givesReceipts || undefined,
      outcome: { state: 'delivered', deviceCode, receipt: givesReceipts },
    };
  }
  if (answer.code === COAP_CODE.serviceUnavailable) {
    // An attacker by radio must not make a device look full.
    if (givesReceipts && isOpen) {
      if (answer.payload.length === 0)
        throw new LatchkeyError('device_answer_invalid', `${deviceCode} without its MAC`);
      verify(answer.code);
    }
    return { isProven: givesReceipts ? isOpen : undefined, outcome: 'full' };
  }
  // 4.00, 4.01, 4.03, 4.13 and 4.15 judge the token (RFC 9200 §5.10.1); any other code judges the moment.
  if (!['4.00', '4.01', '4.03', '4.13', '4.15'].includes(deviceCode))
    throw new LatchkeyError('device_answer_invalid', deviceCode);
  // On a line it is the device's word, since nobody else is there. By radio anybody could end a delivery with it.
  const isVerified = givesReceipts && isOpen;
  if (isVerified) verify(answer.code);
  return {
    isProven: givesReceipts ? isVerified : undefined,
    outcome: { state: 'refused', deviceCode, code: 'device_refused_token' },
  };
}

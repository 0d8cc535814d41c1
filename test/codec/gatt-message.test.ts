import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, emptyMessage, encodeMessage } from '../../src/codec/coap/message.ts';
import {
  coapOfContent,
  contentOfCoap,
  decodeGattMessage,
  encodeGattMessage,
  GATT_SAVES_BYTES,
  type GattBit,
  type GattMessage,
  isReserved,
} from '../../src/codec/gatt-message.ts';
import { COAP_TYPE } from '../../src/codec/iana.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import { isCoded } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';

interface Vector {
  readonly name: string;
  readonly value: string;
  readonly message_id: GattBit;
  readonly confirm: boolean;
  readonly acknowledgement: GattBit;
  /** The same as a confirmable CoAP message with message id 0; null for an empty message. */
  readonly coap: string | null;
}

interface Vectors {
  readonly messages: readonly Vector[];
  readonly refused: readonly { readonly name: string; readonly value: string }[];
}

const vectors = JSON.parse(readFileSync(new URL('../vectors/latchkey/gatt.json', import.meta.url), 'utf8')) as Vectors;

const bit = fc.constantFrom<GattBit>(0, 1);
const content = fc
  .record({
    tokenLength: fc.integer({ min: 0, max: 8 }),
    code: fc.integer({ min: 1, max: 255 }),
    rest: fc.uint8Array({ minLength: 8, maxLength: LIMITS.gattValueBytes - 2 }),
  })
  .map(({ tokenLength, code, rest }) => ({ tokenLength, bytes: Uint8Array.from([code, ...rest]) }));
const message = fc.record<GattMessage>({
  messageId: bit,
  confirm: fc.boolean(),
  acknowledgement: bit,
  content: fc.option(content, { nil: undefined }),
});

function isRefused(value: Uint8Array): boolean {
  try {
    decodeGattMessage(value);
    return false;
  } catch (error) {
    return isCoded(error, 'coap_message_invalid');
  }
}

describe('values of GATT characteristics', () => {
  it.each(vectors.messages)('read and written as the vector has them: $name', (vector) => {
    const value = fromHex(vector.value);
    const read = decodeGattMessage(value);
    expect(read).toMatchObject({
      messageId: vector.message_id,
      confirm: vector.confirm,
      acknowledgement: vector.acknowledgement,
    });
    const coap = read.content === undefined ? null : hex(coapOfContent(read.content, COAP_TYPE.CON, 0));
    expect(coap).toBe(vector.coap);
    expect(hex(encodeGattMessage(read))).toBe(vector.value);
  });

  it('come back as they were written', () => {
    fc.assert(
      fc.property(message, (each) => {
        expect(decodeGattMessage(encodeGattMessage(each))).toEqual(each);
      }),
    );
  });

  it('have one encoding: what is read is written the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (value) => {
        if (!isRefused(value)) expect(hex(encodeGattMessage(decodeGattMessage(value)))).toBe(hex(value));
      }),
    );
  });

  it('hold what a CoAP message holds, two bytes shorter', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 400 }), (token, payload) => {
        const coap = encodeMessage({ type: COAP_TYPE.ACK, code: 0x45, messageId: 0x1234, token, options: [], payload });
        const inside = contentOfCoap(coap);
        if (inside === undefined) throw new Error('no content');
        const value = encodeGattMessage({ messageId: 0, confirm: true, acknowledgement: 0, content: inside });
        expect(value.length).toBe(coap.length - GATT_SAVES_BYTES);
        const again = decodeMessage(coapOfContent(inside, COAP_TYPE.NON, 0xfedc));
        expect(again).toMatchObject({ type: COAP_TYPE.NON, messageId: 0xfedc, token, payload, code: 0x45 });
      }),
    );
  });

  it('carry nothing of an empty CoAP message', () => {
    expect(contentOfCoap(encodeMessage(emptyMessage(COAP_TYPE.ACK, 7)))).toBeUndefined();
  });

  it.each(vectors.refused)('are refused: $name', ({ value }) => {
    expect(isRefused(fromHex(value))).toBe(true);
  });

  it('are refused over 512 bytes', () => {
    expect(isRefused(new Uint8Array(LIMITS.gattValueBytes + 1).fill(0x45))).toBe(true);
  });

  it('are not written over 512 bytes', () => {
    const bytes = new Uint8Array(LIMITS.gattValueBytes).fill(0x45);
    const write = () =>
      encodeGattMessage({ messageId: 0, confirm: true, acknowledgement: 0, content: { tokenLength: 0, bytes } });
    expect(write).toThrow(expect.objectContaining({ code: 'coap_message_invalid' }));
  });

  it('are known by the reserved bit before anything else', () => {
    expect([0x80, 0xff].map((first) => isReserved(Uint8Array.of(first, 1)))).toEqual([true, true]);
    expect([0x7f, 0x00].map((first) => isReserved(Uint8Array.of(first, 1)))).toEqual([false, false]);
  });
});

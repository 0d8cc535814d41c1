/** What the radio's process says is data of strangers: nothing but the messages that there are is taken, each with its limits. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  readToHub,
  readToProcess,
  type ToHub,
  type ToProcess,
  toldError,
  written,
} from '../../../../drivers/ble/process/messages.ts';
import { FrameReader, framed } from '../../../../drivers/child-frames.ts';
import { utf8 } from '../../../../src/core/bytes.ts';
import { LatchkeyError } from '../../../../src/core/errors.ts';
import { codeOf } from '../../../fixtures/code-of.ts';

const ADDRESS = 'c0:ff:ee:00:00:01';
const VALUE = Uint8Array.of(0, 1, 255);

describe('messages', () => {
  it.each<ToHub>([
    { type: 'ready' },
    { type: 'heard', name: 'tube-1', address: ADDRESS, rssi: -60 },
    { type: 'value', link: 7, value: VALUE },
    { type: 'refused', link: 7, code: 'link_busy', detail: 'no room' },
    { type: 'broken', rule: 'att 0x1d: length', address: ADDRESS, count: 3 },
    { type: 'broken', rule: 'hci 0x3e: length', address: undefined, count: 1 },
  ])('of the process come as they were said: %o', (message) => {
    expect(readToHub(written(message))).toEqual(message);
  });

  it.each<ToProcess>([
    { type: 'keep', addresses: [ADDRESS, ADDRESS] },
    { type: 'connect', link: 1, address: ADDRESS, connectTimeout: 10_000, operationTimeout: 5_000 },
    { type: 'send', link: 1, value: VALUE },
  ])('of the hub come as they were said: %o', (message) => {
    expect(readToProcess(written(message))).toEqual(message);
  });

  it.each([
    '',
    '{}',
    '[]',
    '{"type":"constructor"}',
    '{"type":"open","adapter":"hci0"}',
    '{"type":"on","address":"C0"}',
    '{"type":"heard","name":7,"address":"c0:ff:ee:00:00:01","rssi":-60}',
    '{"type":"heard","name":"x","address":"c0:ff:ee:00:00:01","rssi":1e9}',
    '{"type":"value","link":0,"value":"AA"}',
    '{"type":"value","link":1,"value":"*"}',
    `{"type":"value","link":1,"value":"${'A'.repeat(700)}"}`,
    // Only what is of the radio: it cannot say for a device that it refused a token.
    '{"type":"lost","code":"device_refused_token"}',
    '{"type":"lost","code":"radio_failed","code":"radio_failed"}',
    `{"type":"failed","code":"radio_failed","detail":"${'x'.repeat(513)}"}`,
    '{"type":"broken","rule":"line\\nof its own","count":1}',
    '{"type":"broken","rule":"x","count":-1}',
  ])('that are none are refused: %s', (text) => {
    expect(codeOf(() => readToHub(utf8(text)))).toBe('radio_process_failed');
  });

  it('hold nothing that the process added', () => {
    expect(readToHub(utf8('{"type":"pong","handle":3}'))).toEqual({ type: 'pong' });
  });

  it('of any bytes are read or refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(utf8)), (bytes) => {
        try {
          readToHub(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(LatchkeyError);
        }
      }),
    );
  });

  it('tell an error of the radio as it is, and any other one as a defect', () => {
    expect(toldError(new LatchkeyError('link_down', 'gone'))).toEqual({ code: 'link_down', detail: 'gone' });
    expect(toldError(new LatchkeyError('device_refused_token')).code).toBe('internal');
    expect(toldError(new LatchkeyError('link_down', 'x'.repeat(2_000))).detail).toHaveLength(512);
  });
});

describe('frames', () => {
  it('are put together however their bytes arrive', () => {
    const message = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.integer({ min: 1, max: 20 }), (messages, step) => {
        const bytes = Buffer.concat(messages.map(framed));
        const reader = new FrameReader(64, 'radio_process_failed');
        const read: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += step) read.push(...reader.push(bytes.subarray(at, at + step)));
        expect(read.map((each) => Uint8Array.from(each))).toEqual(messages);
      }),
    );
  });

  it('that are too large are refused before they are there', () => {
    const reader = new FrameReader(64, 'radio_process_failed');
    expect(codeOf(() => reader.push(Buffer.of(65, 0, 0, 0)))).toBe('radio_process_failed');
  });
});

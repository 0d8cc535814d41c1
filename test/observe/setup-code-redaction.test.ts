import { describe, expect, test } from 'vitest';
import { setupCodeToType } from '../../src/codec/setup-code.ts';
import { sha256 } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { redactText } from '../../src/observe/redact.ts';

const CODE = '00041-06105-0R3GG-28A1C-60T3G-F6';
const PLAIN = CODE.replaceAll('-', '');

/** The code of some label, all alike in nothing. */
const typed = (seed: number) => setupCodeToType(new Secret(sha256(`code ${seed}`).subarray(0, 16))).expose();

describe('a setup code is replaced', () => {
  test.each([
    ['with its dashes', CODE],
    ['without dashes', PLAIN],
    ['with spaces', CODE.replaceAll('-', ' ')],
    ['with a space behind each symbol', [...PLAIN].join(' ')],
    ['with a dash behind each symbol', [...PLAIN].join('-')],
    ['with tabs and several spaces', CODE.replaceAll('-', ' \t ')],
    ['with line ends', CODE.replaceAll('-', '\n')],
    ['in small letters, without dashes', PLAIN.toLowerCase()],
    ['with o, i and l for 0 and 1', PLAIN.replace('0', 'o').replace('0', 'O').replace('1', 'l').replace('1', 'I')],
    ['with a mistyped symbol', PLAIN.replace('R', 'S')],
    ['without its check symbol', PLAIN.slice(0, 26)],
    ['with its check symbol apart', `${PLAIN.slice(0, 26)} 6`],
    ['as QR text in capitals', 'LATCHKEY:1?ID=TUBE-1&S=00041061050R3GG28A1C60T3GF&C=6'],
  ])('%s', (_name, code) => {
    expect(redactText(`typed "${code}" for tube-1`)).toBe('typed "[secret]" for tube-1');
  });

  test('whichever it is, with any check symbol', () => {
    for (let seed = 0; seed < 500; seed += 1) {
      const code = typed(seed);
      const spellings = [code, code.replaceAll('-', ''), code.replaceAll('-', ' ').toLowerCase(), [...code].join(' ')];
      // Words beside it, with nothing but spaces between, may make another code with its symbols by chance; then they go too.
      for (const spelling of spellings) expect(redactText(`typed: ${spelling}.`)).toBe('typed: [secret].');
    }
  });

  test('twice in a text, and beside words', () => {
    expect(redactText(`no ${PLAIN} and ${typed(1).replaceAll('-', '')}, yes`)).toBe('no [secret] and [secret], yes');
  });
});

describe('what is no setup code stays', () => {
  test.each([
    'a token of tube-1 was refused 3 times: the device did not answer in 20 seconds',
    'confirmed 3 h 12 min ago, asked again in 2 min 7 s, good for 4 d 19 h without it',
    '0123456789abcdef0123456789abcdef',
    '123e4567-e89b-12d3-a456-426614174000',
    'bytesReceived 1234567890, framesReceived 12345, framesBadChecksum 12, coapReceived 1234',
    '2026-11-24 18 19 04 2026-11-24 18 19 04',
    '/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0',
    '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
    'CoAP 4.01 to POST /authz-info of ward-3-tube-12, 1,024 bytes in 16 blocks',
    'coap://pump-7.other-ward.example.com/temperature/3/now',
  ])('%s', (text) => {
    expect(redactText(text)).toBe(text);
  });
});

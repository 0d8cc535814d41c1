import { expect, test } from 'vitest';
import { decodeCbor } from '../../src/codec/cbor.ts';
import { codeText } from '../../src/codec/coap/codes.ts';
import { COAP_METHOD, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { fromUtf8 } from '../../src/core/bytes.ts';
import { type DeviceEvent, describe as describeEvent } from '../../src/sim/device-event.ts';
import { AUDIENCE, macToken, tube } from './tube.ts';

const { GET, POST } = COAP_METHOD;

test('the directory names what there is', async () => {
  const answer = await tube().ask({ method: GET, path: ['.well-known', 'core'] });
  expect(codeText(answer.code)).toBe('2.05');
  expect(answer.contentFormat).toBe(CONTENT_FORMAT.linkFormat);
  expect(fromUtf8(answer.payload)).toBe(
    '</authz-info>;rt="ace.ai";ct=61,</challenge>;ct=42,</status>;ct=60,</temperature>;rt="temperature";ct=60,</led>;rt="lamp";ct=60',
  );
});

test('the status is a map of audience, time, tokens and trust version', async () => {
  const given = tube();
  await given.give(macToken());
  const answer = await given.ask({ method: GET, path: ['status'] });
  expect(decodeCbor(answer.payload)).toEqual(
    new Map<string, unknown>([
      ['aud', AUDIENCE],
      ['time', true],
      ['trust', 3],
      ['tokens', 1],
    ]),
  );
});

test('the status counts no expired token and says that the time is not known', async () => {
  const given = tube();
  await given.give(macToken());
  await given.time.advance(600_000);
  given.time.forgetLatest();
  const status = decodeCbor((await given.ask({ method: GET, path: ['status'] })).payload);
  expect(status).toEqual(
    new Map<string, unknown>([
      ['aud', AUDIENCE],
      ['time', false],
      ['trust', 3],
      ['tokens', 0],
    ]),
  );
});

test.each([
  ['status', POST],
  ['.well-known/core', POST],
])('%s by another method is refused', async (path, method) => {
  expect(codeText((await tube().ask({ method, path: path.split('/') })).code)).toBe('4.05');
});

test.each([['provision'], ['door'], ['']])('there is nothing at /%s', async (path) => {
  const given = tube();
  const answer = await given.ask({ method: POST, path: [path], payload: macToken() });
  expect(codeText(answer.code)).toBe('4.04');
});

test('a defect inside is answered with 5.00 and named', async () => {
  const events: DeviceEvent[] = [];
  const given = tube({
    onEvent: (event) => events.push(event),
    clock: {
      now: () => {
        throw new RangeError('a defect');
      },
      monotonic: () => 0,
    },
  });
  const answer = await given.give(macToken());
  expect(codeText(answer.code)).toBe('5.00');
  expect(events).toEqual([{ event: 'failed', error: 'internal' }]);
});

test.each<readonly [DeviceEvent, string]>([
  [
    { event: 'token_accepted', token: 'ab', scope: 'read', expiresAt: 1_700_000_000, bytes: 9 },
    'token ab accepted: 9 bytes, scope "read", until 2023-11-14T22:13:20.000Z',
  ],
  [
    { event: 'token_accepted', token: 'ab', scope: 'read', expiresAt: Number.MAX_SAFE_INTEGER, bytes: 9 },
    `token ab accepted: 9 bytes, scope "read", until second ${Number.MAX_SAFE_INTEGER}`,
  ],
  [
    { event: 'token_known', token: 'ab', scope: 'read', expiresAt: 1, bytes: 9 },
    'token ab is here already: answered again, nothing changed',
  ],
  [
    { event: 'token_refused', reason: 'expired', code: '4.01', bytes: 9 },
    'token of 9 bytes refused with 4.01: expired',
  ],
  [{ event: 'challenge_given', token: 'ab' }, 'challenge given to the holder of token ab'],
  [{ event: 'challenge_refused', code: '4.01' }, 'challenge refused with 4.01'],
  [
    { event: 'request_served', token: 'ab', method: 'PUT', path: 'led', code: '2.04' },
    'PUT /led answered 2.04 to the holder of token ab',
  ],
  [
    { event: 'request_refused', reason: 'proof_wrong', method: 'PUT', path: 'led', code: '4.01' },
    'PUT /led refused with 4.01: proof_wrong',
  ],
  [{ event: 'failed', error: 'internal' }, 'failed: internal'],
])('%o reads as one line', (event, line) => {
  expect(describeEvent(event)).toBe(line);
});

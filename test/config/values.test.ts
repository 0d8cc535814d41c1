import { describe, expect, test } from 'vitest';
import type * as z from 'zod/mini';
import {
  fetchUrl,
  filePath,
  identifierUrl,
  isLoopback,
  linePath,
  listenAddress,
  milliseconds,
  name,
  radioAdapter,
  seconds,
  uuid,
  whole,
} from '../../src/config/values.ts';

const accepts = (schema: z.ZodMiniType, value: unknown) => schema.safeParse(value, { jitless: true }).success;
const limits = { min: '1s', max: '1h' };

describe('is refused', () => {
  test.each<[string, z.ZodMiniType, unknown]>([
    ['a duration that is a number', seconds(limits), 60],
    ['a duration without its unit', seconds(limits), '60'],
    ['a duration of two parts', seconds(limits), '1m30s'],
    ['a negative duration', seconds(limits), '-1s'],
    ['a duration with a fraction', seconds(limits), '1.5s'],
    ['a duration below the least', seconds(limits), '0s'],
    ['a duration past the most', seconds(limits), '61m'],
    ['a duration of 1500 ms in whole seconds', seconds(limits), '1500ms'],
    ['a duration of many digits', milliseconds(limits), `${'1'.repeat(10)}ms`],
    ['an address without a port', listenAddress, '127.0.0.1'],
    ['a port past 65535', listenAddress, '127.0.0.1:65536'],
    ['an IPv6 address without brackets', listenAddress, '::1:80'],
    ['an address with a path', listenAddress, '127.0.0.1:80/x'],
    ['an issuer over http', identifierUrl, 'http://as.example'],
    ['an issuer with a query', identifierUrl, 'https://as.example?x'],
    ['an issuer with a fragment', identifierUrl, 'https://as.example#x'],
    ['an issuer with a password', identifierUrl, 'https://a:b@as.example'],
    ['an issuer that is no address', identifierUrl, 'as.example'],
    ['an issuer whose host only begins like loopback', identifierUrl, 'http://127.0.0.1.evil.example'],
    ['an address to fetch over ftp', fetchUrl, 'ftp://as.example/jwks'],
    ['an address to fetch with a fragment', fetchUrl, 'https://as.example/jwks#x'],
    ['an empty path', filePath, ''],
    ['a path with a NUL', filePath, 'a\0b'],
    ['a path of 4 KiB', filePath, 'x'.repeat(4_096)],
    ['a name that begins with a dash', name, '-x'],
    ['a name with a slash', name, 'a/b'],
    ['a name of 65 characters', name, 'x'.repeat(65)],
    ['a line that is relative', linePath, 'ttyS0'],
    ['a line of another scheme', linePath, 'udp://127.0.0.1:1'],
    ['a network line on port 0', linePath, 'tcp://127.0.0.1:0'],
    ['a network line without a port', linePath, 'tcp://127.0.0.1'],
    ['an adapter that is a number', radioAdapter, 0],
    ['an adapter of another bus', radioAdapter, 'usb0'],
    ['a controller on a relative path', radioAdapter, 'ttyS0'],
    ['a UUID of 16 bits', uuid, '180f'],
    ['a UUID without its dashes', uuid, '8df804b73300496d9dfaf8fb40a236bc'],
    ['a number below the least', whole(5, 7), 4],
    ['a number past the most', whole(5, 7), 8],
    ['a number with a fraction', whole(5, 7), 5.5],
  ])('%s', (_, schema, value) => {
    expect(accepts(schema, value)).toBe(false);
  });
});

test.each<[string, z.ZodMiniType, string]>([
  ['http on loopback', identifierUrl, 'http://[::1]:8080/realms/a'],
  ['an address to fetch with a query', fetchUrl, 'https://as.example/jwks?p=1'],
  ['the first adapter', radioAdapter, 'auto'],
  ['an adapter by its name', radioAdapter, 'hci1'],
  ['a controller on a serial port', radioAdapter, '/dev/ttyAMA0'],
  ['a UUID in capitals', uuid, '8DF804B7-3300-496D-9DFA-F8FB40A236BC'],
  ['a line by its stable name', linePath, '/dev/serial/by-id/usb-x'],
  ['a line on an IPv6 server', linePath, 'tcp://[2001:db8::1]:4161'],
])('%s is accepted', (_, schema, value) => {
  expect(accepts(schema, value)).toBe(true);
});

test('a duration is in the unit of who uses it', () => {
  expect(seconds(limits).parse('2m')).toBe(120);
  expect(milliseconds(limits).parse('1500ms')).toBe(1_500);
});

test('an address to listen on is taken apart, without its brackets', () => {
  expect(listenAddress.parse('[::1]:0')).toEqual({ host: '::1', port: 0 });
});

test.each<[string, boolean]>([
  ['127.9.9.9', true],
  ['LOCALHOST', true],
  ['[::1]', true],
  ['127.0.0.1.example', false],
  ['128.0.0.1', false],
  ['::2', false],
])('that %s is loopback is %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

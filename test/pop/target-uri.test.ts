import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesTargetUri } from '../../src/pop/target-uri.ts';

const OWN = ['https://hub.example/devices/tube-1/authz-info'];

test.each([
  ['the very address', 'https://hub.example/devices/tube-1/authz-info'],
  ['a host in upper case', 'https://HUB.example/devices/tube-1/authz-info'],
  ['the default port', 'https://hub.example:443/devices/tube-1/authz-info'],
  ['a query', 'https://hub.example/devices/tube-1/authz-info?a=b'],
  ['a fragment', 'https://hub.example/devices/tube-1/authz-info#x'],
  ['dot segments', 'https://hub.example/other/../devices/./tube-1/authz-info'],
  ['an unreserved character escaped', 'https://hub.example/devices/tube%2D1/authz-info'],
])('takes %s', (_name, htu) => {
  expect(matchesTargetUri(htu, OWN)).toBe(true);
});

test.each([
  ['another host', 'https://hub.example.org/devices/tube-1/authz-info'],
  ['another scheme', 'http://hub.example/devices/tube-1/authz-info'],
  ['another port', 'https://hub.example:8443/devices/tube-1/authz-info'],
  ['another path', 'https://hub.example/devices/tube-2/authz-info'],
  ['a path in another case', 'https://hub.example/devices/Tube-1/authz-info'],
  ['a slash at the end', 'https://hub.example/devices/tube-1/authz-info/'],
  ['a reserved character escaped', 'https://hub.example/devices%2Ftube-1/authz-info'],
  ['a user', 'https://hub.example@evil.example/devices/tube-1/authz-info'],
  ['a user at the right host', 'https://user@hub.example/devices/tube-1/authz-info'],
  ['a backslash', 'https://hub.example\\devices\\tube-1\\authz-info'],
  ['white space', ' https://hub.example/devices/tube-1/authz-info'],
  ['a line break inside', 'https://hub.example/devices/tube-1/authz-\ninfo'],
  ['a broken escape', 'https://hub.example/devices/tube-1/authz-info%2'],
  ['a relative address', '/devices/tube-1/authz-info'],
  ['another scheme altogether', 'coap://hub.example/devices/tube-1/authz-info'],
  ['nothing', ''],
])('refuses %s', (_name, htu) => {
  expect(matchesTargetUri(htu, OWN)).toBe(false);
});

test('refuses everything where the hub has no address', () => {
  expect(matchesTargetUri('https://hub.example/', [])).toBe(false);
});

test('never throws, whatever the text', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.webUrl().map((url) => `${url}%zz`),
      ),
      (text) => {
        expect(typeof matchesTargetUri(text, OWN)).toBe('boolean');
      },
    ),
  );
});

import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { isCoded } from '../../src/core/errors.ts';

function refusal(text: string): string {
  try {
    parseConfig(text, { file: 'latchkey.toml', folder: '/', environment: { HOME: '/home/hub' } });
  } catch (error) {
    if (isCoded(error, 'config_invalid')) return error.detail ?? '';
    throw error;
  }
  return 'accepted';
}

const issuer = (more: string) => `[[issuers]]\nissuer = "https://as.example"\n${more}\n`;
const profile = (more: string, name = 'tube') => `[[profiles]]\nname = "${name}"\nallow = ["read=GET x"]\n${more}\n`;
const line = (name: string, path: string) => `[[lines]]\nname = "${name}"\npath = "${path}"\n`;

describe('together they are refused:', () => {
  test.each<[string, string, string]>([
    ['a certificate without its key', '[http]\ntls_cert_file = "c"', 'latchkey.toml:2:1: http.tls_cert_file needs'],
    ['a key without its certificate', '[http]\ntls_key_file = "k"', 'latchkey.toml:2:1: http.tls_key_file needs'],
    ['an open address without TLS', '[http]\nlisten = "10.0.0.1:80"', 'has no TLS'],
    ['a wildcard without TLS', '[http]\nlisten = "0.0.0.0:80"\npublic_url = "https://hub.example"', 'has no TLS'],
    ['a wildcard without public_url', '[http]\nlisten = "[::]:80"\nbehind_proxy = true', 'public_url'],
    ['one issuer twice', issuer('') + issuer(''), 'issuers[1].issuer was given before'],
    ['a jwks_url beside a file', issuer('jwks_url = "https://a.example/j"\njwks_file = "j"'), 'not both'],
    [
      'discovery beside a jwks_url',
      issuer('discovery_url = "https://a.example/d"\njwks_url = "https://a.example/j"'),
      'not both',
    ],
    ['a ca_file with nothing to fetch', issuer('jwks_file = "j"\nca_file = "c"'), 'ca_file has no use'],
    ['a shortest refresh longer than the longest', issuer('refresh_min = "2h"\nrefresh_max = "1h"'), 'refresh_min'],
    ['a refresh past the offline limit', issuer('refresh_max = "2d"\noffline_limit = "1d"'), 'refresh_max'],
    [
      'a shared audience without a name in it',
      issuer('shared_audience = "https://a"'),
      'shared_audience needs device_by',
    ],
    ['a name without a shared audience', issuer('device_by = "scope"'), 'device_by needs shared_audience'],
    [
      'a name in a claim that is not said',
      issuer('shared_audience = "a"\ndevice_by = "claim"'),
      'device_by = "claim" needs device_claim',
    ],
    [
      'a pattern for names in a claim',
      issuer('shared_audience = "a"\ndevice_by = "claim"\ndevice_claim = "d"\nscope_pattern = "{device}/{scope}"'),
      'scope_pattern needs device_by = "scope"',
    ],
    [
      'a pattern of two meanings',
      issuer('shared_audience = "a"\ndevice_by = "scope"\nscope_pattern = "{device}-{scope}"'),
      'a character between them that no device id has',
    ],
    [
      'prefixes of tokens that are not asked about',
      issuer('opaque_prefixes = ["ory_at_"]'),
      'issuers[0].opaque_prefixes needs client_id',
    ],
    ['an empty prefix, which all tokens begin with', issuer('opaque_prefixes = [""]'), 'must be 1 to 64 characters'],
    ['no prefix at all', issuer('opaque_prefixes = []'), 'must name at least one text'],
    ['two lines of one name', line('a', 'tcp://x:1') + line('a', 'tcp://x:2'), 'lines[1].name was given before'],
    ['two profiles of one name', profile('') + profile(''), 'latchkey.toml:6:1: profiles[1].name was given before'],
    ['an algorithm of another wrap', profile('algorithm = "ES256"'), 'mac0 goes with HMAC 256/64 and HMAC 256/256'],
    ['an algorithm with encrypt0', profile('wrap = "encrypt0"\nalgorithm = "ES256"'), 'has neither signature nor MAC'],
    ['one audience for all devices', profile('audience = "coap://tube"'), 'latchkey.toml:4:1: profiles[0].audience'],
    [
      'an issuer that is not configured',
      profile('issuers = ["https://b.example"]') + issuer(''),
      'issuers[0] is none of',
    ],
    ['issuers beside any', issuer('') + profile('issuers = ["https://as.example"]\nany_issuer = true'), 'not both'],
    ['two lines on one port', line('a', '/dev/ttyS0') + line('b', '/dev/ttyS0'), 'lines[1].path was given before'],
  ])('%s', (_, text, words) => {
    expect(refusal(text)).toContain(words);
  });
});

test('every broken rule is named, not the first only', () => {
  const words = refusal(`[http]\nlisten = "10.0.0.1:80"\ntls_key_file = "k"\n${issuer('')}${issuer('')}`);
  expect(words.split('\n').length).toBe(3);
});

test.each<[string, string]>([
  ['an open address behind a proxy', '[http]\nlisten = "10.0.0.1:80"\nbehind_proxy = true'],
  [
    'a wildcard with TLS and a name',
    '[http]\nlisten = "[::]:443"\ntls_cert_file = "c"\ntls_key_file = "k"\npublic_url = "https://hub.example"',
  ],
  [
    'two profiles',
    profile('wrap = "sign1"\nalgorithm = "EdDSA"') + profile('audience = "https://x.example/{id}"', 'lamp'),
  ],
  [
    'two issuers on two lines',
    `${issuer('')}[[issuers]]\nissuer = "https://b.example"\n${line('a', '/dev/ttyS0')}${line('b', '/dev/ttyS1')}`,
  ],
])('%s is accepted', (_, text) => {
  expect(refusal(text)).toBe('accepted');
});

test.each([
  ['read', 'profiles[0].allow[0] must be "scope=METHOD[,METHOD] path"'],
  ['read=LOOK x', 'with methods of GET, POST, PUT, DELETE, FETCH, PATCH, iPATCH'],
])('a profile that allows "%s" is refused', (allow, words) => {
  expect(refusal(profile('').replace('read=GET x', allow))).toContain(words);
});

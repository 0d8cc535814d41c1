import { expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { originsOf } from '../../src/config/origins.ts';

const TLS = 'tls_cert_file = "c"\ntls_key_file = "k"\n';

test.each<[string, readonly string[]]>([
  ['listen = "127.0.0.1:0"', ['http://127.0.0.1:7', 'http://localhost:7']],
  ['listen = "[::1]:0"', ['http://[::1]:7', 'http://localhost:7']],
  [`listen = "10.0.0.1:0"\n${TLS}`, ['https://10.0.0.1:7']],
  ['listen = "127.0.0.1:0"\npublic_url = "https://hub.example/"', ['https://hub.example']],
])('clients of %s may name %j', (settings, origins) => {
  const config = parseConfig(`[http]\n${settings}`, { file: 'latchkey.toml', folder: '/', environment: {} });
  expect(originsOf(config, 7)).toEqual(origins);
});

import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { jsonSchema, referenceToml } from '../../src/config/reference.ts';

const origin = { file: 'latchkey.toml', folder: '/etc/latchkey', environment: { HOME: '/home/hub' } };

/** `npm run generate` writes both files; here they only have to be the same. */
describe('generated files', () => {
  test('config/latchkey.schema.json is the schema', async () => {
    await expect(`${JSON.stringify(jsonSchema(), null, 2)}\n`).toMatchFileSnapshot('../../config/latchkey.schema.json');
  });

  test('config/latchkey.toml is the schema', async () => {
    await expect(referenceToml()).toMatchFileSnapshot('../../config/latchkey.toml');
  });
});

describe('the commented configuration', () => {
  test('changes nothing as it is shipped', () => {
    expect(parseConfig(referenceToml(), origin)).toEqual(parseConfig('', origin));
  });

  test('describes every setting', () => {
    expect(referenceToml()).not.toMatch(/^#\s*$/m);
    expect(referenceToml()).not.toContain('undefined');
  });

  test('shows values that are acceptable', () => {
    const settings = referenceToml()
      .replace(/^#(\[|[a-z_0-9]+ = )/gm, '$1')
      .replace(
        /^(discovery_url|jwks_file|client_(key|cert)_file|client_key_id|device_claim|authorization_details_type) = .*$/gm,
        '',
      );
    const config = parseConfig(settings, origin);
    expect(config.issuers).toHaveLength(1);
    expect(config.lines).toHaveLength(1);
    expect(config.stateDir).toBe('/var/lib/latchkey');
  });
});

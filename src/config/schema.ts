/**
 * Every setting: its form, its default, what it means. With the sections, the only source: the types, the checks,
 * `config/latchkey.toml` and `config/latchkey.schema.json` come from here (`npm run generate`; a test holds them together).
 */
import * as z from 'zod/mini';
import type { Camel } from './camel.ts';
import { admin, audit, clock, delivery, dpop, http, log, trust } from './sections/general.ts';
import { issuer } from './sections/issuer.ts';
import { ble, line } from './sections/links.ts';
import { mqtt } from './sections/mqtt.ts';
import { profile } from './sections/profile.ts';
import { setting } from './setting.ts';
import { filePath } from './values.ts';

export const schema = z.strictObject({
  state_dir: setting(
    z.optional(filePath),
    'Folder of the state: keys, devices, deliveries. Default: $STATE_DIRECTORY, else /var/lib/latchkey if it is there, else ~/.local/state/latchkey.',
    '/var/lib/latchkey',
  ),
  http,
  admin,
  log,
  clock,
  delivery,
  dpop,
  trust,
  audit,
  issuers: setting(
    z._default(z.array(issuer, { error: 'must be written as [[issuers]]' }), []),
    'The authorization servers whose tokens are accepted. One table for each.',
  ),
  lines: setting(
    z._default(z.array(line, { error: 'must be written as [[lines]]' }), []),
    'The serial lines that devices are on. One table for each.',
  ),
  profiles: setting(
    z._default(z.array(profile, { error: 'must be written as [[profiles]]' }), []),
    'Kinds of devices: what tokens for them may permit. One table for each. A device keeps a copy of its profile from when it is registered.',
  ),
  ble,
  mqtt,
});

/** As the file has it, checked and with defaults: names as in TOML. */
export type Settings = z.output<typeof schema>;

type Filled = Omit<Settings, 'state_dir' | 'admin'> & { state_dir: string; admin: { socket: string } };

/** As the program uses it. Paths are absolute. Units are those of values.ts: see `seconds` and `milliseconds` there. */
export type Config = Camel<Filled>;

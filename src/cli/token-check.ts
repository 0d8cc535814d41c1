import { loadConfig } from '../config/load.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { profileFromJson } from '../devices/profile.ts';
import { type Explanation, explainToken, readParts, unreadable } from '../flows/explain/explain-token.ts';
import { unknownIssuer } from '../flows/explain/unknown-issuer.ts';
import { decryptedNow, keysNow, policyOf } from '../hub.ts';
import { createLog } from '../observe/log.ts';
import type { Admin, DeviceView } from '../ports/admin.ts';
import type { DecryptedJwt } from '../trust/encrypted-jwt.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { type AdminChoice, withDevice } from './devices-admin.ts';
import { EXIT } from './output.ts';

interface Options extends AdminChoice {
  readonly device: string;
  readonly json?: boolean;
}

export const command: CliCommand = {
  exitStatus: ({ entry }) => (entry.status === 401 || entry.status === 403 ? EXIT.refused : EXIT.failure),
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Explain step by step whether the hub would accept a token for a device, and which setting would have it accepted. The client is taken to hold the key that it has to prove. The exit status is 0 only for a token that would be accepted.',
        )
        .argument('<file>', 'access token; - reads standard input')
        .requiredOption('--device <id>', 'the device that the token is for'),
      'print one JSON object',
    ).action(async (file: string, options: Options) => {
      const text = Buffer.from(await terminal.read(file, LIMITS.jwtBytes + 2))
        .toString('utf8')
        .trim();
      const found = await explained(text, options, terminal);
      if (options.json === true) terminal.print(JSON.stringify(found));
      else for (const line of lines(found)) terminal.print(line);
      if (found.code !== undefined) throw new LatchkeyError(found.code);
    });
    addExample(command, '$ latchkey token check token.jwt -c latchkey.toml --device tube-1');
  },
};

async function explained(text: string, options: Options, terminal: Terminal): Promise<Explanation> {
  const { config } = loadConfig({ path: options.config, environment: terminal.environment });
  const asked = { choice: options, terminal };
  const { device: view, devices } = await withDevice(options.device, asked, async (admin) => ({
    device: await admin.showDevice(options.device),
    devices: await all(admin),
  }));
  const takesTokens = view.line !== undefined || view.ble !== undefined;
  const destination = { write: (line: string) => terminal.note(line.trimEnd()) };
  const log = createLog({ level: 'error', destination });
  const issuers = view.issuers === 'any' ? config.issuers.map(({ issuer }) => issuer) : view.issuers;
  let decrypted: DecryptedJwt | undefined;
  try {
    decrypted = await decryptedNow(text, { config, issuers, log });
  } catch (error) {
    return unreadable(text, { takesTokens }, coded(error));
  }
  const jwt = decrypted?.jwt ?? text;
  const parts = readParts(jwt);
  if (parts === undefined) return unreadable(jwt, { takesTokens });
  const settings = config.issuers.find(({ issuer }) => issuer === parts.claims.iss);
  const isTaken = view.issuers === 'any' || view.issuers.includes(settings?.issuer ?? '');
  if (settings === undefined || !isTaken) {
    return unknownIssuer(parts, {
      configured: config.issuers.map(({ issuer }) => issuer),
      device: { id: view.id, issuers: view.issuers },
    });
  }
  const held = await withDevice(options.device, asked, (admin) => admin.issuerKeys(settings.issuer));
  const seconds = Date.now() / 1_000;
  return explainToken(jwt, {
    decrypted,
    policy: policyOf(settings),
    rebuild: (changes) => policyOf({ ...settings, ...changes }),
    keys: await keysNow(settings, held),
    keysAge: 0,
    device: {
      id: view.id,
      audience: view.audience,
      profile: profileFromJson(view.profile, { takesTokens }),
      takesTokens,
    },
    names: {
      has: (id) => devices.some((one) => one.id === id),
      withAudience: (audience) => devices.find((one) => one.audience === audience)?.id,
    },
    time: { earliest: Math.floor(seconds), latest: Math.ceil(seconds) },
  });
}

async function all(admin: Admin): Promise<readonly DeviceView[]> {
  const devices: DeviceView[] = [];
  let after: string | undefined;
  do {
    const page = await admin.listDevices({ after });
    devices.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return devices;
}

const MARKS = { good: '+', refused: '!', 'not reached': ' ' } as const;
/** As wide as the longest name of a step. */
const STEP_WIDTH = 12;

function lines({ accepted, reason, remedy, steps }: Explanation): readonly string[] {
  return [
    ...steps.map(
      ({ result, says, step }) => `${MARKS[result]} ${step.padEnd(STEP_WIDTH)} ${says === '' ? 'not reached' : says}`,
    ),
    ...(accepted ? ['The hub would accept it.'] : []),
    ...(remedy === undefined ? [] : ['These settings of the issuer would have it accepted:']),
    ...(remedy?.settings ?? []).map((setting) => `    ${setting}`),
    ...(remedy?.prices ?? []).map((price) => `What it costs: ${price}`),
    ...(reason === undefined ? [] : [`No setting of the issuer helps. ${reason}`]),
  ];
}

import { randomBytes } from 'node:crypto';
import { renderSVG, renderUnicodeCompact } from 'uqr';
import { newSetupSecret, readSetupCode, setupCodeText, setupCodeToType } from '../codec/setup-code.ts';
import { loadConfig } from '../config/load.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Secret } from '../core/secret.ts';
import { profileNamed } from '../devices/named-profile.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { intoNewFile } from './secret-file.ts';

interface Options {
  readonly code?: string;
  readonly svg?: string;
  readonly profile?: string;
  readonly json?: boolean;
  readonly config?: string;
}

/** A quarter of the symbol may be scratched off a label before it does not read any more. */
const QR = { ecc: 'Q', border: 2 } as const;

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Print the label of a device that has none: its setup code as a QR code, as QR text, and as people type it. Without --code it makes a new one, which has to be put into the device as well. A person who sees the code can pair the device, and read a pairing that was recorded.',
      )
      .argument('<id>', 'id of the device: a-z, 0-9, and . _ -')
      .option('--code <code>', 'the setup code that the device has; - reads it from standard input')
      .option('--profile <name>', 'profile that the QR text names, for the hub that will pair the device')
      .option('--svg <file>', 'write the QR code as SVG to this file (must not exist yet), and nothing to the screen')
      .option('-c, --config <file>', 'configuration of that hub: --profile must be one of its profiles')
      .option('--json', 'print the code as JSON, without a drawing')
      .action((id: string, options: Options) => label(id, options, terminal));
    addExample(command, '$ latchkey devices label tube-1', '$ latchkey devices label tube-1 --code - --svg tube-1.svg');
  },
};

async function label(id: string, options: Options, terminal: Terminal): Promise<void> {
  const { secret, ...read } = await codeOf(id, options, terminal);
  const profile = options.profile ?? read.profile;
  if (options.config !== undefined) checkProfile(profile, options.config, terminal);
  const text = setupCodeText(id, secret, profile).expose();
  const typed = setupCodeToType(secret).expose();
  const { svg } = options;
  if (svg !== undefined) await intoNewFile(svg, async (file) => file.write(renderSVG(text, QR)));
  if (options.json === true) terminal.print(JSON.stringify({ id, qr: text, typed }));
  else if (svg !== undefined) terminal.print(`The label of ${id} is in ${svg}: it holds its setup code.`);
  else for (const line of [...renderUnicodeCompact(text, QR).split('\n'), text, typed]) terminal.print(line);
}

/** A label is pasted on for good: a wrong name on it shows at every pairing. @throws {LatchkeyError} `profile_unknown` */
function checkProfile(name: string | undefined, path: string, { environment }: Terminal): void {
  const { profiles } = loadConfig({ path, environment }).config;
  if (name !== undefined) profileNamed(profiles, name);
}

async function codeOf(
  id: string,
  { code }: Options,
  terminal: Terminal,
): Promise<{ readonly secret: Secret<Uint8Array>; readonly profile?: string | undefined }> {
  if (code === undefined) return { secret: newSetupSecret({ bytes: randomBytes }) };
  const read = readSetupCode(code === '-' ? fromUtf8(await terminal.read('-', LIMITS.setupCodeLength)) : code);
  if (read.id !== undefined && read.id !== id) throw new LatchkeyError('usage', `the code is that of ${read.id}`);
  return read;
}

import type { Command } from 'commander';
import { readSetupCode, type SetupCode } from '../codec/setup-code.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { CATALOGUE } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { printable } from '../core/printable.ts';
import { Secret } from '../core/secret.ts';
import { profileNamed } from '../devices/named-profile.ts';
import type { CandidateView, ObstacleView, PairDraft, PairedDevice, PairingView } from '../ports/pairing.ts';
import { findAdminSockets } from './admin-client.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { addDeviceOptions, inOptions, profileOf } from './device-options.ts';
import { secondsOption } from './duration-option.ts';
import { PairDialogue } from './pair-dialogue.ts';
import { describeCandidate, describeObstacle, PAIR_OPTIONS, type PairOptions, requestOf } from './pair-texts.ts';
import { PairWatch } from './pair-watch.ts';
import { PairingClient } from './pairing-client.ts';

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Pair a device by the setup code on its label. Opens a window, shows what is there, and asks for what was not given; with --code it asks nothing, and with --json alone it shows what is there until the window closes. Five wrong codes close the window.',
      )
      .option('--for <time>', 'how long the window is open: 90s, 2m, up to 15m', '2m')
      .option('--code <code>', 'its setup code, QR text or as typed; - reads it from standard input')
      .option('--line <name>', 'the line it is on; others are not looked at')
      .option('--ble [name]', 'it is a radio device; the name that it advertises')
      .option(
        '--id <id>',
        'its id: a-z, 0-9, and . _ - (default: that of the QR text, or with --ble the name that it advertises)',
      )
      .option('--audience <aud>', 'the `aud` of tokens for it (default: that of its profile, else coap:// and its id)')
      .option('--name <name>', 'what people call it');
    addAdminOptions(addDeviceOptions(command), 'print JSON lines').action((options: PairOptions) =>
      pair(options, terminal),
    );
    example(command);
  },
};

function example(command: Command): void {
  addExample(
    command,
    '$ latchkey pair --for 2m',
    '$ latchkey pair --profile tube',
    '$ latchkey pair --line ward-3 --id tube-1 --allow "read=FETCH temperature" --code - < label.txt',
  );
}

async function pair(options: PairOptions, terminal: Terminal): Promise<void> {
  if (options.line !== undefined && options.ble !== undefined)
    throw new LatchkeyError('usage', '--line and --ble are two places');
  const seconds = secondsOption('--for', options.for, LIMITS.pairingWindowSeconds);
  const code = options.code === undefined ? undefined : await codeOf(options.code, terminal);
  const label = code === undefined ? undefined : readSetupCode(code.expose());
  const labelled = label?.id;
  // All that can be wrong without a device is found before the window opens: here, or by the hub that opens it.
  if (label !== undefined) checkComplete(options, label);
  const profile = profileOf(options);
  const isOnlyWatching = code === undefined && options.json === true;
  const device = isOnlyWatching ? undefined : draftOf(options, label, profile);
  const pairing = new PairingClient(findAdminSockets({ ...options, environment: terminal.environment }));
  const medium = options.line !== undefined ? 'line' : options.ble !== undefined ? 'ble' : undefined;
  const tell = teller(options, terminal);
  const stop = stopSignal();
  try {
    // Where nothing is paired, the hub gets no profile to look at.
    if (isOnlyWatching && options.profile !== undefined) profileNamed(await pairing.profiles(), options.profile);
    const window = await pairing.open({ seconds, medium, name: nameOf(options), device });
    try {
      tell.opened(window);
      const watch = new PairWatch({ pairing, medium, signal: stop.signal, onObstacle: tell.obstructed });
      if (code !== undefined) {
        const candidate = await watch.choose(nameOf(options) ?? labelled ?? options.id, tell.seen);
        tell.paired(await pairing.pair({ ...requestOf(options), code, candidate: candidate.key, profile }));
      } else if (isOnlyWatching) await watch.untilClosed(tell.seen);
      else {
        const profiles = await pairing.profiles();
        tell.paired(await new PairDialogue({ options, pairing, profiles, terminal, watch }).run());
      }
    } finally {
      // It may be closed already, or the hub be gone: then there is nothing to close.
      await pairing.close().catch(() => undefined);
    }
  } catch (error) {
    throw inOptions(error, PAIR_OPTIONS);
  } finally {
    stop.end();
  }
}

/** With a code nothing is asked, so all has to be said. @throws {LatchkeyError} `usage` */
function checkComplete({ allow, ble, id, profile }: PairOptions, label: SetupCode): void {
  if (allow.length === 0 && profile === undefined && label.profile === undefined)
    throw new LatchkeyError('usage', '--code needs --profile or --allow: what tokens may permit');
  if (id === undefined && label.id === undefined && ble === undefined)
    throw new LatchkeyError('usage', '--id is needed: a code that was typed does not say it, as QR text does');
}

/** What will be paired, as far as the options and the code say it. */
function draftOf(options: PairOptions, label: SetupCode | undefined, profile: PairDraft['profile']): PairDraft {
  const { allow, ble, code, id = label?.id } = options;
  // A code that is yet to be typed may have another id.
  const heard = code !== undefined && typeof ble === 'string' ? ble : undefined;
  const profileName = options.profile ?? (allow.length === 0 ? label?.profile : undefined);
  return { ...requestOf(options), id: id ?? heard, profileName, profile };
}

async function codeOf(option: string, terminal: Terminal): Promise<Secret<string>> {
  const text = option === '-' ? fromUtf8(await terminal.read('-', LIMITS.setupCodeLength)) : option;
  readSetupCode(text);
  return new Secret(text);
}

function nameOf({ ble, line }: PairOptions): string | undefined {
  return line ?? (typeof ble === 'string' ? ble : undefined);
}

function stopSignal(): { readonly signal: AbortSignal; end(): void } {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  return { signal: stop.signal, end: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal) };
}

/** What goes to the operator: sentences, or JSON lines. */
function teller({ json = false }: PairOptions, terminal: Terminal) {
  const line = (event: string, members: object) => terminal.print(JSON.stringify({ event, ...members }));
  return {
    opened({ attempts_left, closes_in }: PairingView): void {
      if (json) line('window', { closes_in, attempts_left });
      else terminal.note(`Devices can be paired for ${closes_in} seconds. Wake the device, or plug it in.`);
    },
    seen(candidate: CandidateView): void {
      if (json) line('sighting', candidate);
      else terminal.note(`  ${describeCandidate(candidate)}`);
    },
    obstructed(obstacle: ObstacleView): void {
      if (json) line('obstacle', obstacle);
      else terminal.note(`  ${describeObstacle(obstacle)}`);
    },
    paired({ device, reason, state }: PairedDevice): void {
      if (json) line(state, { device, reason });
      else if (state === 'paired')
        terminal.print(`Paired ${device.id}, for tokens with the audience ${device.audience}.`);
      if (state === 'unfinished') throw new LatchkeyError('pairing_unfinished', why(device.id, reason));
    },
  };
}

/** What the device answered to the last step, such as 4.01, or what became of the link. */
function why(device: string, reason: PairedDevice['reason']): string {
  if (reason === undefined) return device;
  const { code, detail } = reason;
  const said = detail === undefined ? '' : `: ${printable(detail)}`;
  return `${device}: ${CATALOGUE[code]?.title ?? printable(code)}${said} [${printable(code)}]`;
}

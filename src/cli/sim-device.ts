import { Option } from 'commander';
import { readSetupCode } from '../codec/setup-code.ts';
import { readTrustFile } from '../codec/trust-file.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { describe } from '../sim/device-event.ts';
import { type RadioAddress, type SimulatedClock, type SimulatorOptions, startSimulator } from '../simulator.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { type ConnectedOptions, readConnectedOptions, simulateConnected } from './sim-connected.ts';
import { Simulation } from './simulation.ts';

/** A trust file with keys for many clients is still a few KiB. */
const MAX_TRUST_BYTES = 65_536;

interface Options extends ConnectedOptions {
  readonly trust?: string;
  readonly setup?: string;
  readonly state?: string;
  readonly reset?: boolean;
  /** True without a name. */
  readonly ble?: string | true;
  readonly hci?: string;
  /** False with --no-clock. */
  readonly clock: string | boolean;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Simulate a device until told to stop (SIGTERM or SIGINT), and print one line for everything that happens. It is behind a serial line, or with --ble on the radio. With --trust it trusts what is in its trust file and nothing else. With --setup it trusts no peer until `latchkey pair` pairs it, and remembers in --state what it trusts then. With --connected it has its hub verify over MQTT what clients show it by HTTP.',
      )
      .option(
        '--listen <address>',
        'tcp://127.0.0.1:PORT (0 lets the system choose), or the path of a tty; for a connected device http://127.0.0.1:PORT',
      )
      .option('--trust <file>', 'the trust file that `latchkey devices add` wrote')
      .option('--setup <code>', 'the setup code on its label, as QR text or as typed: it can be paired; needs --state')
      .option('--state <file>', 'with --setup, where it keeps its state without power; made if it is not there')
      .option(
        '--reset',
        'with --setup, press its reset button first: it forgets what it trusts, and its setup code is good again',
      )
      .option('--ble [name]', 'be a Bluetooth device with this name, or with the id of the device as its name')
      .option(
        '--hci <adapter>',
        'its Bluetooth adapter: a name such as hci1, or the path of a serial port that has a controller on it (default: the first of the system)',
      )
      .addOption(
        new Option(
          '--clock <kind>',
          'machine: that of this machine; hub: it asks its hub for the time; none: it only counts seconds, and takes tokens with exi and a cnonce that it gave',
        ).choices(CLOCKS),
      )
      .option('--no-clock', 'a device whose clock was never set')
      .option('--connected <broker>', 'the MQTT broker that the hub uses, mqtt://HOST:PORT or mqtts://HOST:PORT')
      .option('--credentials <file>', 'what `latchkey devices credentials` wrote')
      .option(
        '--password-file <file>',
        'its password at the broker (default: its `httpSecret`, which the embedded broker takes)',
      )
      .option('--broker-ca <file>', 'certificate authority of the broker, PEM, in place of those of the system')
      .option('--topic-prefix <prefix>', 'as in `mqtt.topic_prefix` of the hub', 'latchkey/v1')
      .option('--scope <scope>', 'what a token for it must allow', 'read')
      .option('--take-stale', 'take verdicts that the hub gives while the authorization server is away')
      .option('--json', 'print JSON lines')
      .action((options: Options) => simulate(options, terminal));
    addExample(
      command,
      '$ latchkey sim device --listen tcp://127.0.0.1:4161 --trust tube-1.trust.json',
      '$ latchkey sim device --listen tcp://127.0.0.1:4161 --state tube-1.state --setup 00041-06105-0R3GG-28A1C-60T3G-F6',
      '$ latchkey sim device --ble --trust tube-1.trust.json',
      '$ latchkey sim device --connected mqtt://127.0.0.1:1883 --credentials ekg-1.json',
    );
  },
};

const CLOCKS = ['machine', 'hub', 'none'] as const;

function clockOf({ clock }: Options): SimulatedClock {
  return clock === false ? 'unset' : (CLOCKS.find((kind) => kind === clock) ?? 'machine');
}

async function simulate(options: Options, terminal: Terminal): Promise<void> {
  const simulation = new Simulation(terminal, options.json === true);
  if (options.connected !== undefined) {
    if (options.trust !== undefined || options.setup !== undefined)
      throw new LatchkeyError('usage', '--connected is another device than --trust or --setup');
    return simulateConnected(await readConnectedOptions(options, terminal), simulation);
  }
  const line = lineOf(options);
  const { name, trust } = await provisionedBy(options, terminal);
  const listen = line ?? radioOf(options, name);
  await simulation.run(name, () =>
    startSimulator({
      listen,
      trust,
      clock: clockOf(options),
      onEvent: (event) => simulation.tell(event, describe),
    }),
  );
}

async function provisionedBy(
  { reset, setup, state, trust: file }: Options,
  terminal: Terminal,
): Promise<Pick<SimulatorOptions, 'trust'> & { readonly name: string }> {
  if (setup === undefined) {
    if (state !== undefined || reset === true) throw new LatchkeyError('usage', '--state and --reset go with --setup');
    if (file === undefined) throw new LatchkeyError('usage', '--trust, --setup or --connected is needed');
    const trust = readTrustFile(fromUtf8(await terminal.read(file, MAX_TRUST_BYTES)));
    return { name: trust.device, trust };
  }
  if (file !== undefined) throw new LatchkeyError('usage', '--trust and --setup are two devices');
  if (state === undefined)
    throw new LatchkeyError(
      'usage',
      '--setup needs --state FILE: where the device keeps what it trusts; made if it is not there',
    );
  const code = readSetupCode(setup);
  const trust = { setupSecret: code.secret, stateFile: state, reset: reset === true };
  return { name: code.id ?? 'device', trust };
}

/** Undefined for a device on the radio. */
function lineOf({ ble, hci, listen }: Options): string | undefined {
  if (ble !== undefined && listen !== undefined) throw new LatchkeyError('usage', '--ble and --listen are two places');
  if (ble !== undefined) return undefined;
  if (hci !== undefined) throw new LatchkeyError('usage', '--hci needs --ble');
  if (listen === undefined) throw new LatchkeyError('usage', '--listen, --ble or --connected is needed');
  if (!/^(tcp:\/\/|\/)/.test(listen)) {
    throw new LatchkeyError('usage', '--listen takes tcp://127.0.0.1:PORT or the path of a tty');
  }
  return listen;
}

function radioOf({ ble, hci }: Options, device: string): RadioAddress {
  return { ble: typeof ble === 'string' ? ble : device, hci };
}

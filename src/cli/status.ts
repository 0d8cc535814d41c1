import { loadConfig } from '../config/load.ts';
import { CATALOGUE } from '../core/error-catalogue.ts';
import { isErrorCode, LatchkeyError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import type { BrokerView, HubStatus, IntrospectionView, IssuerView, LineView, RadioView } from '../ports/admin.ts';
import { readStatus } from './admin-answers.ts';
import { adminRequest, findAdminSockets, isNoHub } from './admin-client.ts';
import { addAdminOptions } from './admin-options.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { failedStart } from './start-record.ts';
import { isOfThisUser } from './state-folder.ts';

/** Keys of one issuer, and reasons why others are passed over, that are named; `--json` has them all. */
const MOST_NAMED = 8;

interface Options {
  readonly json?: boolean;
  readonly socket?: string;
  readonly config?: string;
}

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description('Ask the running hub how it is: its clock, issuers, lines, deliveries, and what is wrong.')
        .option('--json', 'print the answer of the hub as JSON'),
    ).action(async ({ json, socket, config }: Options) => {
      const sockets = findAdminSockets({ socket, config, environment: terminal.environment });
      const answer = await adminRequest({ sockets, method: 'GET', path: '/status' }).catch((error: unknown) => {
        throw socket === undefined && isNoHub(error) ? whyNoHub(error, config, terminal) : error;
      });
      if (json === true) terminal.print(JSON.stringify(answer));
      else for (const line of statusLines(readStatus(answer))) terminal.print(line);
    });
    addExample(command, '$ latchkey status', '$ latchkey status --json');
  },
};

/** Why no hub runs: what its last start failed for, with what to do about that; else the same error. */
function whyNoHub(error: LatchkeyError, path: string | undefined, { environment }: Terminal): LatchkeyError {
  const { stateDir } = loadConfig({ path, environment }).config;
  const failed = failedStart(stateDir);
  if (failed !== undefined) {
    const { code, detail } = failed.error;
    const start = `The hub is not running: its start failed at ${failed.at}`;
    return new LatchkeyError(code, detail === undefined ? start : `${detail}. ${start}`, { cause: error });
  }
  // A start by this user writes no note there: the folder is that of another one.
  if (isOfThisUser(stateDir)) return error;
  const owner = `The state folder ${stateDir} belongs to another user: that user alone can start the hub (store_not_ours)`;
  return new LatchkeyError('admin_unreachable', `${error.detail}. ${owner}`, { cause: error.cause });
}

/** The status for a person, one subject a line; what is wrong comes last, with what to do. */
function statusLines(status: HubStatus): string[] {
  const { version, uptime, clock, issuers, lines, radio, broker, devices, deliveries, audit, conditions } = status;
  return [
    `Latchkey ${version}, up for ${duration(uptime)}`,
    `Clock: ${clock.certainty}, not before ${new Date(clock.floor * 1_000).toISOString()}`,
    ...(issuers.length === 0 ? ['Issuers: none configured'] : issuers.flatMap(issuerLines)),
    ...(lines.length === 0 ? ['Lines: none configured'] : lines.flatMap(lineLines)),
    ...(radio === undefined ? [] : radioLines(radio)),
    ...(broker === undefined ? [] : facility('MQTT broker', broker, 'connected', 'not connected')),
    `Devices: ${devices}`,
    `Deliveries: ${counted(deliveries) || 'none'}`,
    `Audit: ${amount(audit.records, 'record')}, head ${audit.head}${audit.lost === 0 ? '' : `, ${audit.lost} lost`}`,
    ...(conditions.length === 0 ? ['Nothing is wrong.'] : []),
    ...conditions.map(
      ({ code, detail, subject, title, fix }) =>
        `! ${subject}: ${title}${detail === undefined ? '' : ` (${detail})`}. ${fix} [${code}]`,
    ),
  ];
}

function issuerLines(view: IssuerView): string[] {
  const { issuer, address, keys, age, introspection, nextRefresh, offlineLimit, lastError } = view;
  const facts = [
    `${amount(keys.length, 'key')}${named(keys.map(({ keyId }) => keyId ?? 'without a name'))}`,
    // Keys of a file are as good as the file: they have neither age nor end.
    ...(nextRefresh === undefined || age === undefined ? [] : [`confirmed ${duration(age)} ago`]),
    ...(nextRefresh === undefined ? [] : [`asked again in ${duration(nextRefresh)}`]),
    ...(nextRefresh === undefined || age === undefined
      ? []
      : [`good for ${duration(Math.max(0, offlineLimit - age))} without it`]),
  ];
  const reasons = [...new Set(view.skipped.map(({ reason }) => reason))];
  return [
    `Issuer ${issuer}: ${facts.join(', ')}`,
    ...(address === issuer ? [] : [`  keys from ${address}`]),
    ...(lastError === undefined ? [] : [`  last attempt failed: ${inWords(lastError)}`]),
    ...(introspection === undefined ? [] : [introspectionLine(introspection)]),
    ...(reasons.length === 0 ? [] : [`  keys passed over: ${view.skipped.length}${named(reasons)}`]),
  ];
}

function named(names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
  return ` (${names.slice(0, MOST_NAMED).join(', ')}${more})`;
}

function lineLines({ name, path, ...line }: LineView): string[] {
  return facility(`Line ${name} (${path})`, line, 'open', 'not open');
}

function radioLines(radio: RadioView): string[] {
  const { adapter, address, devices, links, room } = radio;
  const on = `on${address === undefined ? '' : ` as ${address}`}, ${links} of ${room} links`;
  return [
    ...facility(`Radio ${adapter}`, radio, on, 'off'),
    ...devices.map((device) => {
      const facts = [
        device.connected ? 'connected' : device.up ? 'here' : 'not heard',
        ...(device.rssi === undefined ? [] : [`${device.rssi} dBm`]),
        ...(device.address === undefined ? [] : [device.address]),
        ...(device.rivals === 0 ? [] : [`${device.rivals} more under its name`]),
      ];
      return `  ${device.device}${device.name === device.device ? '' : ` (${device.name})`}: ${facts.join(', ')}`;
    }),
  ];
}

function facility(subject: string, view: BrokerView, up: string, down: string): string[] {
  const counts = counted(view.counters);
  return [
    `${subject}: ${view.up ? up : down}`,
    ...(view.up || view.lastError === undefined ? [] : [`  because: ${inWords(view.lastError, view.lastErrorDetail)}`]),
    ...(counts === '' ? [] : [`  ${counts}`]),
  ];
}

function introspectionLine(view: IntrospectionView): string {
  const { asking, endpoint, failures, lastError, retryIn, slowed, state, verdicts } = view;
  const words = { ready: 'asked about tokens', suspended: 'given a pause', probing: 'about to be tried again' };
  const facts = [
    words[state],
    ...(endpoint === 'known' ? [] : [endpoint === 'none' ? 'no endpoint' : 'endpoint not known yet']),
    `${amount(verdicts, 'answer')} remembered`,
    ...(asking === 0 ? [] : [`${asking} under way`]),
    ...(failures === 0 ? [] : [`${amount(failures, 'failure')} in a row: ${inWords(lastError ?? 'internal')}`]),
    ...(slowed === 0 ? [] : [`${amount(slowed, 'device')} slowed down`]),
    ...(retryIn === undefined ? [] : [`asked again in ${duration(retryIn)}`]),
  ];
  return `  ${facts.join(', ')}`;
}

function amount(count: number, of: string): string {
  return `${count} ${of}${count === 1 ? '' : 's'}`;
}

/** A hub of another version may have codes that are not known here. */
function inWords(code: string, detail?: string): string {
  const about = detail === undefined ? '' : `(${printable(detail)}) `;
  return isErrorCode(code) ? `${CATALOGUE[code].title} ${about}[${code}]` : `${about}[${printable(code)}]`;
}

function counted(counters: Readonly<Record<string, number>>): string {
  return Object.entries(counters)
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex((part) => part > 0);
  const shown = parts.map((part, index) => `${part} ${['d', 'h', 'min', 's'][index]}`);
  return first === -1 ? '0 s' : shown.slice(first, first + 2).join(' ');
}

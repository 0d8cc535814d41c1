import type { JsonObject, JsonValue } from '../core/json.ts';
import type { HubStatus } from '../ports/admin.ts';
import { adminRequest, findAdminSockets } from './admin-client.ts';
import { addExample, type CliCommand } from './command.ts';

/** Items of one list, such as the keys of an issuer; `--json` has them all. */
const MOST_SHOWN = 8;

interface Options {
  readonly json?: boolean;
  readonly socket?: string;
  readonly config?: string;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description('Ask the running hub how it is: its clock, issuers, lines, deliveries, and what is wrong.')
      .option('--json', 'print the answer of the hub as JSON')
      .option('--socket <path>', 'admin socket of the hub (default: that of the configuration)')
      .option('-c, --config <file>', 'configuration that names the socket')
      .action(async ({ json, socket, config }: Options) => {
        const sockets = findAdminSockets({ socket, config, environment: terminal.environment });
        const answer = await adminRequest({ sockets, method: 'GET', path: '/status' });
        if (json === true) terminal.print(JSON.stringify(answer));
        else for (const line of statusLines(answer as unknown as HubStatus)) terminal.print(line);
      });
    addExample(command, '$ latchkey status', '$ latchkey status --json');
  },
};

/** The status for a person, one subject a line; what is wrong comes last, with what to do. */
export function statusLines(status: HubStatus): string[] {
  const { audit, clock, deliveries } = status;
  return [
    `Latchkey ${status.version}, up for ${duration(status.uptime)}`,
    `Clock: ${clock.certainty}, not before ${new Date(clock.floor * 1_000).toISOString()}`,
    ...subjects(
      'Issuer',
      status.issuers.map(({ issuer, ...facts }) => [text(issuer ?? '?'), members(facts)]),
    ),
    ...subjects(
      'Line',
      status.lines.map(({ name, up, counters }) => [name, `${up ? 'open' : 'down'} ${members(counters)}`]),
    ),
    `Devices: ${status.devices}`,
    `Deliveries: ${members(deliveries) || 'none'}`,
    `Audit: ${members({ records: audit.records, head: audit.head, ...(audit.lost > 0 ? { lost: audit.lost } : {}) })}`,
    ...(status.conditions.length === 0 ? ['Nothing is wrong.'] : []),
    ...status.conditions.map(({ code, subject, title, fix }) => `! ${subject}: ${title}. ${fix} [${code}]`),
  ];
}

function subjects(kind: string, rows: readonly (readonly [name: string, facts: string])[]): string[] {
  if (rows.length === 0) return [`${kind}s: none configured`];
  return rows.map(([name, facts]) => `${kind} ${name}: ${facts}`.trimEnd());
}

function members(object: JsonObject): string {
  return Object.entries(object)
    .map(([name, value]) => `${name} ${text(value)}`)
    .join(', ');
}

function text(value: JsonValue): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value) || value.length <= MOST_SHOWN) return JSON.stringify(value);
  return `${JSON.stringify(value.slice(0, MOST_SHOWN))} and ${value.length - MOST_SHOWN} more`;
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex((part) => part > 0);
  const shown = parts.map((part, index) => `${part} ${['d', 'h', 'min', 's'][index]}`);
  return first === -1 ? '0 s' : shown.slice(first, first + 2).join(' ');
}

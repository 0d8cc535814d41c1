import { LatchkeyError } from '../core/errors.ts';
import type { AuditPage } from '../ports/admin.ts';
import type { AuditRecord } from '../ports/audit.ts';
import { addAdminOptions } from './admin-options.ts';
import { columns } from './columns.ts';
import { addExample, type CliCommand } from './command.ts';
import { countOption } from './count-option.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';
import { instantText } from './instant.ts';

interface Options extends AdminChoice {
  readonly device?: string;
  readonly since?: string;
  readonly subject?: string;
  readonly issuer?: string;
  readonly limit: string;
  readonly json?: boolean;
}

const MOST = 1_024;

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description('Show verdicts of the hub, the newest ones that match, in their order.')
        .option('--device <id>', 'only those for this device')
        .option('--since <when>', 'only those since then: "30m", "24h", "7d", or a date such as 2026-03-01T12:00:00Z')
        .option('--subject <sub>', 'only those for this subject; needs --issuer')
        .option('--issuer <iss>', 'the issuer of the subject')
        .option('--limit <number>', `records at most, up to ${MOST}`, '50'),
      'print them as JSON',
    ).action(async (options: Options) => {
      const query = {
        device: options.device,
        since: options.since === undefined ? undefined : instant(options.since, Date.now() / 1_000),
        subject: subjectOf(options),
        limit: countOption('--limit', options.limit, MOST),
      };
      const page = await withAdmin({ choice: options, terminal }, (admin) => admin.audit(query));
      if (options.json === true) terminal.print(JSON.stringify(page.records));
      else for (const line of table(page)) terminal.print(line);
      if (page.unreadable > 0) terminal.note('Parts of the audit cannot be read: see `latchkey audit verify`.');
    });
    addExample(command, '$ latchkey audit list --device tube-1 --since 24h');
  },
};

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** NumericDate. @param now NumericDate, for durations */
function instant(when: string, now: number): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(when) ?? [];
  if (count !== undefined) return Math.max(0, Math.floor(now - Number(count) * SECONDS[unit as keyof typeof SECONDS]));
  const date = /^\d{4}-\d\d-\d\d/.test(when) ? Date.parse(when) : Number.NaN;
  if (Number.isNaN(date)) throw new LatchkeyError('usage', `--since "${when}" is neither a duration nor a date`);
  return Math.max(0, Math.floor(date / 1_000));
}

function subjectOf({ issuer, subject }: Options) {
  if (subject === undefined && issuer === undefined) return undefined;
  if (subject === undefined || issuer === undefined)
    throw new LatchkeyError('usage', '--subject and --issuer go together');
  return { issuer, subject };
}

function table({ records }: AuditPage): readonly string[] {
  if (records.length === 0) return ['No verdict matches.'];
  return columns([
    ['NUMBER', 'TIME', 'KIND', 'DEVICE', 'VERDICT', 'PROOF', 'KNOWLEDGE', 'REQUEST'],
    ...records.map((record) => [
      String(record.sequence),
      // An unsure clock knows the earliest time only.
      `${record.clock === 'sure' ? '' : '≥'}${instantText(record.at)}`,
      record.kind,
      record.device ?? '',
      verdict(record),
      record.proof ?? '',
      knowledge(record),
      record.request ?? '',
    ]),
  ]);
}

function verdict({ code, count, kind, lost, verdict }: AuditRecord): string {
  if (kind === 'gap') return `${lost} verdicts could not be recorded`;
  const times = count === undefined ? '' : `, ${count} times`;
  return code === undefined ? `${verdict ?? ''}${times}` : `${verdict} (${code})${times}`;
}

function knowledge({ age, source, stale }: AuditRecord): string {
  return source === undefined ? '' : `${source}, ${age} s old${stale === true ? ', stale' : ''}`;
}

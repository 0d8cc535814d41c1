import { LatchkeyError } from '../core/errors.ts';
import type { AuditFault, AuditVerification } from '../ports/admin.ts';
import { addAdminOptions } from './admin-options.ts';
import { verifyExport } from './audit-file.ts';
import { addExample, type CliCommand } from './command.ts';
import { type AdminChoice, withAdmin } from './devices-admin.ts';

interface Options extends AdminChoice {
  readonly file?: string;
  readonly head?: string;
  readonly json?: boolean;
}

/** All records of the largest audit, with room for signed answers. */
const MAX_FILE_BYTES = 1_073_741_824;

export const command: CliCommand = {
  configure(command, terminal) {
    addAdminOptions(
      command
        .description(
          'Follow the chain through all records. A record that was removed, altered or moved shows, and the exit status is 1. An attacker who can write the state folder could make a whole new chain. Compare it with a head that was noted elsewhere.',
        )
        .option('--head <head>', 'a head from an export, the status, or an audit_head line of the log')
        .option('--file <export>', 'verify what `audit export` wrote, without a hub (- for standard input)'),
      'print what was found as JSON',
    ).action(async (options: Options) => {
      const { file, head } = options;
      const found =
        file === undefined
          ? await withAdmin({ choice: options, terminal }, (admin) => admin.verifyAudit(head))
          : verifyExport(await terminal.read(file, MAX_FILE_BYTES), head);
      if (options.json === true) terminal.print(JSON.stringify(found));
      if (found.faults.length > 0) throw new LatchkeyError('audit_broken', found.faults.map(sentence).join('\n'));
      if (options.json !== true) for (const line of summary(found, head)) terminal.print(line);
    });
    addExample(command, '$ latchkey audit verify', '$ latchkey audit verify --file audit.jsonl --head 1234:J3p0…');
  },
};

function summary({ dropped, head, records }: AuditVerification, pin: string | undefined): readonly string[] {
  const before = sequenceOf(dropped);
  return [
    `The chain holds: ${records} records${before === '0' ? '' : `, those up to ${before} were dropped`}.`,
    ...(pin === undefined ? [] : ['It passes through the head that was given.']),
    `Head: ${head}`,
  ];
}

function sequenceOf(head: string): string {
  return head.slice(0, head.indexOf(':'));
}

function sentence({ fault, sequence, through }: AuditFault): string {
  const record = through === undefined ? `record ${sequence}` : `records ${sequence} to ${through}`;
  switch (fault) {
    case 'missing':
      return `${record}: missing`;
    case 'altered':
      return `${record}: altered, or the one before it, since it does not follow on that`;
    case 'out_of_order':
      return `${record}: stands where it does not belong`;
    case 'unreadable':
      return `${record}: cannot be read`;
    case 'evidence_altered':
      return `${record}: the signed answer beside it is not the one that it names`;
    case 'pin_differs':
      return `${record}: is not the one of the head that was given: the chain was made anew`;
    case 'pin_missing':
      return `${record}: the head that was given is not in the chain: its end was cut off, or it was made anew`;
    case 'pin_dropped':
      return `${record}: dropped by now, so the head that was given shows nothing; use a newer one`;
  }
}

import { resolve } from 'node:path';
import type { LatchkeyError } from '../core/errors.ts';
import { checkIssuer, type IssuerCheck } from '../flows/explain/check-issuer.ts';
import { issuerSection } from '../flows/explain/issuer-section.ts';
import { askIssuer, issuerAt } from '../hub.ts';
import { addExample, type CliCommand } from './command.ts';

interface Options {
  readonly ca?: string;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Read the metadata and the keys of an authorization server, by RFC 8414 and by OpenID Connect Discovery, as the hub does. Prints the section of the configuration for it, with what does not work there in comments: all of it can be added to latchkey.toml. The exit status is 0 where the hub can use the server. Needs no hub.',
      )
      .argument('<url>', 'the issuer, as in the `iss` of its tokens, or the address of its metadata')
      .option(
        '--ca <file>',
        'certificate authority that signs its TLS certificate, PEM, in place of those of the system',
      )
      .option('--json', 'print one JSON object')
      .action(async (url: string, options: Options) => {
        const issuer = issuerAt(url);
        const caFile = options.ca === undefined ? undefined : resolve(options.ca);
        const answers: { address: string; error?: string | undefined }[] = [];
        const fetched = await askIssuer(issuer, {
          caFile,
          watch: ({ address, error }) => {
            answers.push({ address, error: error?.code });
            if (options.json !== true) terminal.note(answerLine(address, error));
          },
        });
        const check = checkIssuer(fetched);
        const section = issuerSection(check, { ...fetched, caFile });
        if (options.json === true) terminal.print(JSON.stringify(asJson(check, { ...fetched, answers, section })));
        else for (const line of section) terminal.print(line);
      });
    addExample(
      command,
      '$ latchkey issuers check https://keycloak.example/realms/ward',
      '$ latchkey issuers check https://keycloak.example/realms/ward --ca ca.pem >> latchkey.toml',
    );
  },
};

function answerLine(address: string, error: LatchkeyError | undefined): string {
  if (error === undefined) return `${address}: answered`;
  // Where nothing came back, the detail begins with the address.
  const detail = error.detail?.replace(address, '').trim() ?? '';
  return `${address}: ${error.entry.title}${detail === '' ? '' : ` (${detail})`}`;
}

function asJson(
  { dialect, findings, introspection, issuer, keys, settings }: IssuerCheck,
  found: {
    readonly answers: object;
    readonly jwksUri: string;
    readonly metadataAddress: string;
    readonly section: readonly string[];
  },
): object {
  return {
    issuer,
    dialect: dialect ?? null,
    metadata: found.metadataAddress,
    jwks_uri: found.jwksUri,
    answers: found.answers,
    keys,
    introspection: introspection ?? null,
    settings,
    findings,
    toml: `${found.section.join('\n')}\n`,
  };
}

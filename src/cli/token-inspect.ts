import { decodeCbor } from '../codec/cbor.ts';
import { isCoded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { addExample, type CliCommand } from './command.ts';
import { diagnostic } from './diagnostic.ts';
import { type InspectedJwt, inspectJwt } from './inspect-jwt.ts';
import { eachLine } from './output.ts';
import { recognizeToken } from './token-input.ts';

/** The largest token there is, in hexadecimal with line ends. */
const MAX_INPUT_BYTES = 3 * LIMITS.cborBytes;

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description('Show what a JWT or CWT says. Nothing is verified, and no key is shown.')
      .argument('<file>', 'JWT; or CWT as raw bytes, hexadecimal, base64 or base64url; - reads standard input')
      .option('--json', 'print one JSON object; a CWT is in it in diagnostic notation')
      .action(async (file: string, { json }: { json?: boolean }) => {
        eachLine(inspected(await terminal.read(file, MAX_INPUT_BYTES), json === true), terminal.print);
      });
    addExample(command, '$ latchkey token inspect token.cwt', '$ echo d83dd0… | latchkey token inspect -');
  },
};

/** @throws {LatchkeyError} `token_unreadable`, with what was found wrong first */
function inspected(bytes: Uint8Array, asJson: boolean): string {
  try {
    return inspectToken(bytes, asJson);
  } catch (error) {
    if (!isCoded(error) || error.code === 'internal') throw error;
    const detail = error.detail === undefined ? error.entry.title : `${error.entry.title}: ${error.detail}`;
    throw error.code === 'token_unreadable' ? error : new LatchkeyError('token_unreadable', detail, { cause: error });
  }
}

function inspectToken(bytes: Uint8Array, asJson: boolean): string {
  const token = recognizeToken(bytes);
  if (token.kind === 'jwt') {
    const facts = inspectJwt(token.text);
    return asJson ? JSON.stringify(facts) : jwtText(facts);
  }
  const notation = diagnostic(decodeCbor(token.bytes));
  const facts = { kind: 'cwt', verified: false, bytes: token.bytes.length, diagnostic: notation };
  return asJson ? JSON.stringify(facts) : `/ CWT, ${token.bytes.length} bytes, not verified /\n${notation}`;
}

function jwtText({ kind, bytes, header, claims, times, signature_bytes, ciphertext_bytes }: InspectedJwt): string {
  const json = (value: unknown) => JSON.stringify(value, null, 2);
  const dates = Object.entries(times ?? {}).map(([name, date]) => `${name} is ${date}`);
  return [
    `${kind.toUpperCase()}, ${bytes} bytes, not verified`,
    `Header ${json(header)}`,
    ...(claims === undefined ? [] : [`Claims ${json(claims)}`]),
    ...dates,
    kind === 'jwt' ? `Signature of ${signature_bytes} bytes` : `Ciphertext of ${ciphertext_bytes} bytes`,
  ].join('\n');
}

/**
 * Latchkey's side of the exchange with python-cwt.
 *
 *   make FOLDER HUB   writes ours.json (messages to open) and keys.json; HUB is the built command line
 *   open FOLDER       opens theirs.json and prints a line for each case
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEncryptTo } from '../../../src/codec/cose/encrypt-to.ts';
import { importJwk } from '../../../src/codec/cose/key.ts';
import { encodeClaims, openCwt } from '../../../src/codec/cwt.ts';
import { openSignedRequest, readSignedRequest } from '../../../src/codec/signed-request.ts';
import { fromHex, hex } from '../../../src/core/bytes.ts';
import { isCoded } from '../../../src/core/errors.ts';
import type { InteropCase } from './exchange.ts';
import { hubCases } from './hub-cases.ts';
import { cwtCases, encryptedCases, interopKeys, signedRequestCases } from './our-cases.ts';

function open(sample: InteropCase): string {
  if (sample.kind === 'encrypted-to') return openEncrypted(sample);
  const keys = sample.keys.map((jwk) => importJwk(jwk));
  if (sample.kind === 'cwt') {
    const { claims, wrap } = openCwt(fromHex(sample.cwt), { keys });
    if (wrap !== sample.wrap) return `opened as ${wrap}`;
    return hex(encodeClaims(claims)) === sample.claims ? 'open' : 'opened with other claims';
  }
  const [key] = keys;
  if (key === undefined) return 'has no key';
  const message = fromHex(sample.message);
  const named = readSignedRequest(message);
  if (hex(named.nonce) !== sample.nonce || hex(named.tokenHash) !== sample.tokenHash) return 'names another challenge';
  const { audience, method, path } = sample;
  const { payload } = openSignedRequest(message, { key, audience, method, path });
  return hex(payload) === sample.payload ? 'open' : 'opened with another payload';
}

function openEncrypted({
  message,
  keys,
  externalAad,
  payload,
}: Extract<InteropCase, { kind: 'encrypted-to' }>): string {
  const [jwk] = keys;
  if (jwk === undefined) return 'has no key';
  const opened = openEncryptTo(fromHex(message), {
    key: importJwk(jwk, 'ES256').key,
    externalAad: fromHex(externalAad),
  });
  return hex(opened) === payload ? 'open' : 'opened with another payload';
}

function outcome(sample: InteropCase): string {
  try {
    return open(sample);
  } catch (error) {
    return isCoded(error) ? `refuse: ${error.code}` : `threw ${String(error)}`;
  }
}

function openAll(folder: string): boolean {
  const cases = JSON.parse(readFileSync(join(folder, 'theirs.json'), 'utf8')) as readonly InteropCase[];
  let good = true;
  for (const sample of cases) {
    const found = outcome(sample);
    const passed = found === sample.expect || (sample.expect === 'refuse' && found.startsWith('refuse: '));
    good &&= passed;
    const detail = passed && found === 'open' ? '' : ` (${found})`;
    process.stdout.write(`${passed ? 'ok' : 'not ok'} python-cwt to latchkey: ${sample.name}${detail}\n`);
  }
  return good && cases.length > 0;
}

async function makeAll(folder: string, hub: string): Promise<void> {
  const ours = [...cwtCases(), ...signedRequestCases(), ...encryptedCases(), ...(await hubCases(folder, hub))];
  writeFileSync(join(folder, 'ours.json'), JSON.stringify(ours, undefined, 1));
  writeFileSync(join(folder, 'keys.json'), JSON.stringify(interopKeys(), undefined, 1));
}

const [command, folder = '.', hub = ''] = process.argv.slice(2);
if (command === 'make') await makeAll(folder, hub);
else if (command === 'open') process.exitCode = openAll(folder) ? 0 : 1;
else process.exitCode = 2;

/** The examples of docs/protocol.md, "Provisioning": each is the one of the vectors. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readSetupCode } from '../../src/codec/setup-code.ts';
import { hex } from '../../src/core/bytes.ts';

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const [, section = ''] = /^(## 17\. Provisioning\n[\s\S]*?)(?=^## |(?![\s\S]))/m.exec(read('docs/protocol.md')) ?? [];
const { pairing, setup_codes } = JSON.parse(read('test/vectors/latchkey/provisioning.json'));

test.each([
  ['provisioning-trust', pairing.trust_plaintext],
  ['provisioning-sent', pairing.trust_request.payload],
  ['provisioning-confirmed', pairing.trust_answer],
  ['provisioning-commit', pairing.commit_request.payload],
  ['provisioning-committed', pairing.commit_answer],
])('%s is in the vectors', (name, expected) => {
  const [, body = ''] = new RegExp(`^\`\`\`hex ${name}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(section) ?? [];
  expect(body.replaceAll(/\s/g, '')).toBe(expected);
});

test('the key is in the vectors', () => {
  expect(section).toContain(`the key is \`${pairing.key}\``);
});

test('the setup code reads, as QR text and as it is typed', () => {
  const [, qr = ''] = /^```\n(latchkey:.*)\n```$/m.exec(section) ?? [];
  const [, typed = ''] = /^`([0-9A-Z-]{32})`/m.exec(section) ?? [];
  expect(hex(readSetupCode(qr).secret.expose())).toBe(setup_codes.good[0].secret);
  expect(hex(readSetupCode(typed).secret.expose())).toBe(setup_codes.good[0].secret);
});

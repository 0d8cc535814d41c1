/**
 * The floor of a judged proof: a bare node:http handler, in a process of its own, that reads the whole body of a POST, verifies
 * one ES256 signature and answers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Bytes under the signature: as many as a DPoP proof has. */
const SIGNED_BYTES = 420;

/** Takes the length of its answers; prints its port. */
const SERVER = `
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { createServer } from 'node:http';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const input = Buffer.alloc(${SIGNED_BYTES}, 'a');
const signature = sign('sha256', input, { key: privateKey, dsaEncoding: 'ieee-p1363' });
const key = { key: publicKey, dsaEncoding: 'ieee-p1363' };
const answer = JSON.stringify({ active: true }).padEnd(Number(process.argv[1]));
const headers = { 'content-type': 'application/json', 'cache-control': 'no-store', 'content-length': answer.length };
const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.once('end', () => {
    if (Buffer.concat(chunks).length === 0 || !verify('sha256', input, key, signature)) throw new Error('not verified');
    response.writeHead(200, headers).end(answer);
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

export class BareVerifier {
  readonly origin: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: string) {
    this.origin = `http://127.0.0.1:${port}`;
    this.#child = child;
  }

  /** @param answerBytes length of its answers, headers excluded */
  static async start(answerBytes: number): Promise<BareVerifier> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', SERVER, '--', String(answerBytes)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    return new BareVerifier(child, port);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async close(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill();
    await exit;
  }
}

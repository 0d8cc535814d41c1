import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';

const CANARY = 'o_HC1OW2BxgpOktcbX6PkA';
let program = '';

/** A process that reports its crashes to the log, as `latchkey run` does, and then does as it is told. */
beforeAll(() => {
  const source = `
    import { reportCrashes } from './crash.ts';
    import { createLog } from './log.ts';
    const log = createLog({ level: 'info' });
    reportCrashes(() => { process.stdout.write('the first reporter\\n'); });
    reportCrashes((error) => {
      log.error({ event: 'crash', code: 'internal', error }, 'crash');
      log.flush();
      if (process.env.AGAIN) throw new Error('the reporter itself');
    });
    const secret = process.env.CANARY;
    const ways = {
      exception: () => { setTimeout(() => { throw new Error('bad value ' + secret); }, 1); },
      rejection: () => { void Promise.reject(new Error('bad value ' + secret)); },
      thing: () => { setTimeout(() => { throw { token: secret }; }, 1); },
    };
    ways[process.argv.at(-1)]();
    setInterval(() => {}, 1000);
  `;
  const resolveDir = fileURLToPath(new URL('../../src/observe', import.meta.url));
  const banner = "import { createRequire } from 'node:module'; const require = createRequire('/');";
  const built = buildSync({
    stdin: { contents: source, resolveDir, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    banner: { js: banner },
  });
  program = built.outputFiles[0]?.text ?? '';
});

function crash(way: string, environment: Record<string, string> = {}) {
  return spawnSync(process.execPath, ['--input-type=module', '-', way], {
    input: program,
    encoding: 'utf8',
    env: { ...environment, CANARY },
    timeout: 10_000,
  });
}

describe('what nobody caught ends the process with one line that holds no secret', () => {
  test.each(['exception', 'rejection', 'thing'])('%s', (way) => {
    const { status, stdout, stderr } = crash(way);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ level: 'error', event: 'crash', code: 'internal' });
    expect(stdout).not.toContain(CANARY);
  });

  test('even where the report itself fails', () => {
    const { status, stderr } = crash('exception', { AGAIN: '1' });
    expect(status).not.toBe(0);
    expect(stderr).not.toContain(CANARY);
  });
});

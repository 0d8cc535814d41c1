import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorPage } from '../../../drivers/http/error-pages.ts';
import { HttpServer, type HttpServerOptions } from '../../../drivers/http/server.ts';
import { systemRandom } from '../../../drivers/system-time.ts';
import { CATALOGUE, type ErrorCode, type ErrorEntry } from '../../../src/core/error-catalogue.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const servers: HttpServer[] = [];
const log = new QuietLog();

async function serve(more: Partial<HttpServerOptions>): Promise<string> {
  const server = new HttpServer({
    routes: [
      {
        method: 'GET',
        path: '/refused/:device',
        handle: async ({ about, parameters }) => {
          about?.({ device: parameters.device });
          throw new LatchkeyError('hub_busy', 'canary', { isForPeer: true });
        },
      },
    ],
    log,
    random: systemRandom,
    connections: { overall: 16, perNetwork: 16 },
    ...more,
  });
  servers.push(server);
  return `http://127.0.0.1:${await server.listen({ host: '127.0.0.1', port: 0 })}`;
}

let hub: string;
let device: string;

beforeAll(async () => {
  hub = await serve({ errorPagesAt: '' });
  device = await serve({});
});

afterAll(() => Promise.all(servers.map((server) => server.close(100))));

const CODES = Object.entries(CATALOGUE) as [ErrorCode, ErrorEntry][];

test.each(CODES)('%s has a page with title, cause and fix', async (code, { cause, fix, title }) => {
  const { body, headers, status } = errorPage(code);
  const text = Buffer.from(body as Uint8Array).toString('utf8');
  expect(status).toBe(200);
  expect(headers?.['content-type']).toBe('text/plain; charset=utf-8');
  expect(text.split('\n')[0]).toBe(`${title}.`);
  for (const words of [cause, fix, code]) expect(text).toContain(words);
});

test.each(['constructor', '__proto__', 'JWT_EXPIRED', ''])('"%s" is no code and has no page', (code) => {
  expect(() => errorPage(code)).toThrow(expect.objectContaining({ code: 'not_found' }));
});

describe('a server that has pages', () => {
  test('points from each problem to a page, which it serves', async () => {
    const asked = new URL('/refused/tube-1', hub);
    const problem = (await (await fetch(asked)).json()) as { readonly type: string };
    const { fix, title } = CATALOGUE.hub_busy;
    expect(problem).toMatchObject({ type: '/errors/hub_busy', title, fix, code: 'hub_busy', detail: 'canary' });
    const page = await fetch(new URL(problem.type, asked));
    expect(page.headers.get('cache-control')).toBe('public, max-age=3600');
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await page.text()).toContain(title);
  });

  test('takes another method for a page no better than elsewhere', async () => {
    expect((await fetch(`${hub}/errors/hub_busy`, { method: 'POST' })).status).toBe(405);
  });

  test('has in the line about the answer what the request was about', () => {
    const line = log.lines.find(({ fields }) => fields.event === 'refused' && fields.code === 'hub_busy');
    expect(line?.fields).toMatchObject({ device: 'tube-1', detail: 'canary' });
  });
});

test('a server without pages has short problems, whose type is a name', async () => {
  const problem = await (await fetch(`${device}/refused/tube-1`)).json();
  expect(problem).toMatchObject({ type: 'urn:latchkey:error:hub_busy', code: 'hub_busy' });
  expect(problem).not.toHaveProperty('fix');
  expect(problem).not.toHaveProperty('detail');
  expect((await fetch(`${device}/errors/hub_busy`)).status).toBe(404);
});

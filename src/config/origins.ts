import type { Config } from './schema.ts';

/** Where clients may say that they sent their request to (`htu`): the public address if there is one, else this very one. */
export function originsOf(config: Config, port: number): readonly string[] {
  if (config.http.publicUrl !== undefined) return [config.http.publicUrl.replace(/\/$/, '')];
  const scheme = config.http.tlsCertFile === undefined ? 'http' : 'https';
  const { host } = config.http.listen;
  const literal = host.includes(':') ? `[${host}]` : host;
  return [
    `${scheme}://${literal}:${port}`,
    ...(host.startsWith('127.') || host === '::1' ? [`${scheme}://localhost:${port}`] : []),
  ];
}

import type { DpopToken } from '../../src/client/index.ts';

/** Header and claims, as they are. */
export function insideOf(token: Pick<DpopToken, 'value'>): {
  readonly header: string;
  readonly claims: Record<string, unknown>;
} {
  const [header = '', claims = ''] = token.value.expose().split('.');
  const text = (part: string) => Buffer.from(part, 'base64url').toString();
  return { header: text(header), claims: JSON.parse(text(claims)) as Record<string, unknown> };
}

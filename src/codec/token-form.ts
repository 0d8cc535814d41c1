/** What a token looks like, before anything of it is read. */

/** `signed`: three parts, as a compact JWS has (RFC 7515 §7.1). `encrypted`: five, as a compact JWE has (RFC 7516 §7.1). */
export type TokenForm = 'signed' | 'encrypted' | 'opaque';

export function tokenForm(token: string): TokenForm {
  let dots = 0;
  for (let at = token.indexOf('.'); at !== -1 && dots < 5; at = token.indexOf('.', at + 1)) dots += 1;
  if (dots === 2) return 'signed';
  return dots === 4 ? 'encrypted' : 'opaque';
}

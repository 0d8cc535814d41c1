/** Whether a host is this machine or in a network of its own kind, judged by its name alone: `URL.hostname` goes in. */

/** This very machine: 127.0.0.0/8, ::1 (RFC 6890) and localhost (RFC 6761 §6.3). */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Names and address literals that lead no further than this machine, its link or its site. Of IPv6 everything outside
 * 2000::/3, which is all that is public (RFC 4291 §2.4); of IPv4 what RFC 6890 lists as not global, and multicast.
 */
export function isLocal(host: string): boolean {
  if (host.startsWith('[')) return !/^\[[23][0-9a-f]{3}:/.test(host);
  if (/^(.+\.)?localhost\.?$/.test(host)) return true;
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.\d{1,3}$/.exec(host);
  if (match === null) return false;
  const [a = 0, b = 0, c = 0] = match.slice(1).map(Number);
  return (
    [0, 10, 127].includes(a) ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && (b === 168 || (b === 0 && c === 0))) ||
    (a === 198 && (b === 18 || b === 19))
  );
}

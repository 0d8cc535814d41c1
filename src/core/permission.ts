/** What a scope permits, as operators write it: `scope=METHOD[,METHOD] path`. */

/** CoAP methods in the order of their codes: bit (code − 1) of RFC 9237 §3. */
export const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'FETCH', 'PATCH', 'iPATCH'] as const;

interface Permission {
  readonly scope: string;
  /** Method set of RFC 9237. */
  readonly methods: number;
  readonly path: string;
}

/** `fault` says in words what is wrong, without the text itself. */
export function readPermission(text: string): Permission | { readonly fault: string } {
  const match = /^([^\s=]{1,64})=([A-Za-z,]{1,64}) +\/?(\S{1,255})$/.exec(text.trim());
  const [, scope, names, path] = match ?? [];
  if (scope === undefined || names === undefined || path === undefined)
    return { fault: 'not "scope=METHOD[,METHOD] path"' };
  let methods = 0;
  for (const name of names.split(',')) {
    const at = METHODS.findIndex((known) => known.toUpperCase() === name.toUpperCase());
    if (at === -1) return { fault: `"${name}" is not a CoAP method; there are ${METHODS.join(', ')}` };
    methods |= 1 << at;
  }
  return { scope, methods, path };
}

/** As `DeviceProfile.permissions` has them. */
export function permissionRows(
  permissions: readonly Permission[],
): Readonly<Record<string, readonly (readonly [path: string, methods: number])[]>> {
  const rows = new Map<string, readonly (readonly [string, number])[]>();
  for (const { methods, path, scope } of permissions) rows.set(scope, [...(rows.get(scope) ?? []), [path, methods]]);
  return Object.fromEntries(rows);
}

export function methodNames(set: number): string {
  return METHODS.filter((_, bit) => (set & (1 << bit)) !== 0).join(',');
}

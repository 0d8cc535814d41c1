/** What is wrong with a configuration, in words that name the place. */
import type * as z from 'zod/mini';
import { nearest } from './nearest.ts';
import type { schema } from './schema.ts';
import type { KeyPath } from './toml-positions.ts';

export interface Problem {
  readonly code: 'config_unknown_key' | 'config_invalid';
  readonly path: KeyPath;
  readonly words: string;
}

/** A path as one writes it in TOML: `issuers[0].jwks_url`. */
function pathText(path: KeyPath): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${part}`))
    .join('');
}

interface Definition {
  readonly type: string;
  readonly innerType?: { readonly _zod: { readonly def: Definition } };
  readonly element?: { readonly _zod: { readonly def: Definition } };
  readonly shape?: Readonly<Record<string, { readonly _zod: { readonly def: Definition } }>>;
}

/** Names that the schema knows at a path. */
function knownNames(root: typeof schema, path: KeyPath): readonly string[] {
  let definition: Definition | undefined = root._zod.def as unknown as Definition;
  const inside = () => {
    while (definition?.innerType !== undefined) definition = definition.innerType._zod.def;
  };
  for (const part of path) {
    inside();
    definition = (typeof part === 'number' ? definition?.element : definition?.shape?.[part])?._zod.def;
  }
  inside();
  return Object.keys(definition?.shape ?? {});
}

function unknownKey(root: typeof schema, path: KeyPath, key: string): Problem {
  const meant = nearest(key, knownNames(root, path));
  const where = path.length === 0 ? 'at the top level' : `in ${pathText(path)}`;
  const hint = meant === undefined ? `known are: ${knownNames(root, path).join(', ')}` : `did you mean "${meant}"?`;
  return {
    code: 'config_unknown_key',
    path: [...path, key],
    words: `there is no "${key.slice(0, 64)}" ${where}; ${hint}`,
  };
}

/** Every problem that the schema found. No value is repeated: one day one may be a secret. */
export function problemsOf(root: typeof schema, issues: readonly z.core.$ZodIssue[]): Problem[] {
  return issues.flatMap((issue) => {
    const path = issue.path.filter((part) => typeof part !== 'symbol');
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(root, path, key));
    const isMissing = issue.code === 'invalid_type' && issue.input === undefined;
    const words = isMissing ? 'is missing' : issue.message === 'Invalid input' ? 'must be a table' : issue.message;
    return [{ code: 'config_invalid' as const, path, words: `${pathText(path)} ${words}` }];
  });
}

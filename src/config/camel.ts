/** TOML names are written `like_this`, the program's `likeThis`. */
type CamelName<Name> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelName<Tail>>}` : Name;

export type Camel<T> = T extends readonly (infer Item)[]
  ? readonly Camel<Item>[]
  : T extends object
    ? { readonly [Name in keyof T as CamelName<Name>]: Camel<T[Name]> }
    : T;

function camelName(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The same value with the names of the program, frozen all the way down. */
export function camel<T>(value: T): Camel<T> {
  if (Array.isArray(value)) return Object.freeze(value.map(camel)) as Camel<T>;
  if (typeof value !== 'object' || value === null) return value as Camel<T>;
  return Object.freeze(
    Object.fromEntries(Object.entries(value).map(([name, item]) => [camelName(name), camel(item)])),
  ) as Camel<T>;
}

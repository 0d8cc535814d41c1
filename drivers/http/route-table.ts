/**
 * Finds the route for a path. A hub has a dozen of them, so they are tried one after the other; a router for thousands
 * takes longer to load and set up than all of the hub's HTTP besides.
 */

/** What a path holds in place of `:name` and `*`, decoded. */
export type Parameters = Readonly<Record<string, string | undefined>>;

export interface Found<R> {
  readonly route: R;
  readonly parameters: Parameters;
}

interface Entry<R> {
  readonly method: string;
  readonly segments: readonly string[];
  readonly route: R;
}

export class RouteTable<R extends { readonly method: string; readonly path: string }> {
  readonly #entries: readonly Entry<R>[];
  /** What is found for the paths that stand in the table as they are, by method, space and path. */
  readonly #literal: ReadonlyMap<string, Found<R>>;

  /**
   * @param routes with a path of segments, each of which is a text, `:name` for any that is not empty, or as the last one
   * `*` for all that is left, slashes and all
   */
  constructor(routes: readonly R[]) {
    this.#entries = routes.map((route) => ({ method: route.method, segments: route.path.split('/'), route }));
    this.#literal = new Map(
      routes
        .filter(({ path }) => !/[:*%]/.test(path))
        .map(({ method, path }) => [`${method} ${path}`, this.#search(method, path) as Found<R>]),
    );
  }

  /** The first route that fits; undefined where none does, and for a path that is not percent-encoded UTF-8. */
  find(method: string, path: string): Found<R> | undefined {
    return this.#literal.get(`${method} ${path}`) ?? this.#search(method, path);
  }

  #search(method: string, path: string): Found<R> | undefined {
    const given = segmentsOf(path);
    if (given === undefined) return undefined;
    for (const entry of this.#entries) {
      if (entry.method !== method) continue;
      const parameters = match(entry.segments, given);
      if (parameters !== undefined) return { route: entry.route, parameters };
    }
    return undefined;
  }

  /** Routes of the path, whatever their method. */
  at(path: string): readonly R[] {
    const given = segmentsOf(path);
    if (given === undefined) return [];
    return this.#entries.filter(({ segments }) => match(segments, given) !== undefined).map(({ route }) => route);
  }
}

/** Taken apart first and decoded then (RFC 3986 §2.4): an encoded slash is part of a name. What `*` holds is put together again. */
function segmentsOf(path: string): readonly string[] | undefined {
  const segments = path.split('/');
  if (!path.includes('%')) return segments;
  try {
    return segments.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function match(wanted: readonly string[], given: readonly string[]): Parameters | undefined {
  const isOpen = wanted.at(-1) === '*';
  if (isOpen ? given.length < wanted.length : given.length !== wanted.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? '';
    if (segment === '*') parameters['*'] = given.slice(index).join('/');
    else if (!segment.startsWith(':')) {
      if (segment !== value) return undefined;
    } else if (value === '') return undefined;
    else parameters[segment.slice(1)] = value;
  }
  return parameters;
}

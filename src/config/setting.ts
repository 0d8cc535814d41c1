/** How a setting is declared: with what it means, which goes into the generated files. */
import * as z from 'zod/mini';

/** Says what a setting means, and shows a value where it has no default. Both go into the generated files. */
export function setting<T extends z.ZodMiniType>(schema: T, description: string, example?: unknown): T {
  z.globalRegistry.add(schema, { description, ...(example === undefined ? {} : { examples: [example] }) });
  return schema;
}

/** A section that may be left out: then every setting in it has its default. */
export function section<Shape extends z.core.$ZodShape>(description: string, shape: Shape) {
  return setting(z.prefault(z.strictObject(shape), {} as never), description);
}

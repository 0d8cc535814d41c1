import type { Adapter, AdapterPayload } from 'oidc-provider';

/**
 * What the demo's authorization server remembers, for as long as its process lives. Shared by all models and outliving
 * a key rotation. Nothing is swept: the server of a demo or a test issues a few dozen records.
 */
export class DemoRecords {
  readonly #records = new Map<string, AdapterPayload>();

  /** The storage of one model, as oidc-provider asks for it by name. */
  adapter(model: string): Adapter {
    const records = this.#records;
    const key = (id: string) => `${model}/${id}`;
    const findBy = (matches: (payload: AdapterPayload) => boolean) => {
      for (const [name, payload] of records) if (name.startsWith(`${model}/`) && matches(payload)) return payload;
      return undefined;
    };
    return {
      async upsert(id, payload) {
        records.set(key(id), payload);
      },
      find: async (id) => records.get(key(id)),
      findByUid: async (uid) => findBy((payload) => payload.uid === uid),
      findByUserCode: async (userCode) => findBy((payload) => payload.userCode === userCode),
      async consume(id) {
        const payload = records.get(key(id));
        if (payload !== undefined) records.set(key(id), { ...payload, consumed: true });
      },
      async destroy(id) {
        records.delete(key(id));
      },
      async revokeByGrantId(grantId) {
        for (const [name, payload] of records) if (payload.grantId === grantId) records.delete(name);
      },
    };
  }
}

/** As much of cose-js (which has no types) as the tests call. */
declare module 'cose-js' {
  interface Headers {
    readonly p: { readonly alg: string; readonly ctyp?: number };
    readonly u: { readonly kid?: string };
  }
  interface Options {
    readonly excludetag?: boolean;
    readonly externalAAD?: Buffer;
    readonly defaultType?: number;
  }

  const cose: {
    readonly sign: {
      create(
        headers: Headers,
        payload: Buffer,
        signer: { readonly key: { readonly d: Buffer }; readonly externalAAD?: Buffer },
        options?: Options,
      ): Promise<Buffer>;
      verify(
        message: Buffer,
        verifier: { readonly key: { readonly x: Buffer; readonly y: Buffer }; readonly externalAAD?: Buffer },
        options?: Options,
      ): Promise<Buffer>;
    };
    readonly mac: {
      create(
        headers: Headers,
        payload: Buffer,
        recipient: { readonly key: Buffer },
        externalAad?: Buffer,
        options?: Options,
      ): Promise<Buffer>;
      read(message: Buffer, key: Buffer, externalAad?: Buffer, options?: Options): Promise<Buffer>;
    };
    readonly encrypt: {
      create(
        headers: Headers,
        payload: Buffer,
        recipient: { readonly key: Buffer },
        options?: Options,
      ): Promise<Buffer>;
      read(message: Buffer, key: Buffer, options?: Options): Promise<Buffer>;
    };
  };
  export default cose;
}

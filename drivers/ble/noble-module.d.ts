/** The package declares its types for the name that it is published under, which is not the one that it is installed as. */
declare module '@abandonware/noble' {
  export function withBindings(type: 'hci', options: object): unknown;
}

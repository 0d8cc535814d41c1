/** Lists in responses of the Attribute Protocol (Core 5.4, Vol 3 Part F §3.4): what noble goes through entry by entry. */

/** Types of the attributes that noble asks for (Vol 3 Part G §3). */
const INCLUDE = 0x2802;
const CHARACTERISTIC = 0x2803;
const CLIENT_CONFIGURATION = 0x2902;
const SERVER_CONFIGURATION = 0x2903;

/** Bytes of an entry, by what was asked for: with a UUID of 2 bytes, or of 16. Other types: no less than a handle. */
const ENTRY_BYTES: ReadonlyMap<number, readonly number[]> = new Map([
  // One with a long UUID has none in its entry, and noble reads one.
  [INCLUDE, [8]],
  [CHARACTERISTIC, [7, 21]],
  [CLIENT_CONFIGURATION, [4]],
  [SERVER_CONFIGURATION, [4]],
]);

interface Range {
  readonly first: number;
  readonly last: number;
}

/** The handles that a request asks about: behind its opcode. */
function rangeOf(request: Buffer): Range {
  return { first: request.readUInt16LE(1), last: request.readUInt16LE(3) };
}

/** Entries of one length, none cut off, and at least one. */
function entriesOf(list: Buffer, length: number): readonly Buffer[] | undefined {
  if (length === 0 || list.length === 0 || list.length % length !== 0) return undefined;
  return Array.from({ length: list.length / length }, (_, index) =>
    list.subarray(index * length, (index + 1) * length),
  );
}

/**
 * Whether each entry lies behind the one before it and in the range. noble asks on behind the last one: an entry that does
 * not would have it ask for ever, or for a handle that does not exist.
 * @param spans handles that an entry covers, first and last
 */
function isInOrder(
  entries: readonly Buffer[] | undefined,
  { first, last }: Range,
  spans: (entry: Buffer) => readonly [number, number],
): boolean {
  if (entries === undefined) return false;
  let next = Math.max(first, 1);
  for (const entry of entries) {
    const [from, to] = spans(entry);
    if (from < next || to < from || to > last) return false;
    next = to + 1;
  }
  return true;
}

const oneHandle = (entry: Buffer) => [entry.readUInt16LE(0), entry.readUInt16LE(0)] as const;
const twoHandles = (entry: Buffer) => [entry.readUInt16LE(0), entry.readUInt16LE(2)] as const;
/** Declaration and value of a characteristic: the value has a handle of its own behind it. */
const declaration = (entry: Buffer) => {
  const [handle, value] = [entry.readUInt16LE(0), entry.readUInt16LE(3)];
  return value > handle ? ([handle, value] as const) : ([value, 0] as const);
};

/** Find Information Response, §3.4.3.2: format 1 has UUIDs of 2 bytes, format 2 of 16. */
export function areInformationEntries(response: Buffer, request: Buffer): boolean {
  const length = [undefined, 4, 18][response[1] ?? 0];
  return length !== undefined && isInOrder(entriesOf(response.subarray(2), length), rangeOf(request), oneHandle);
}

/** Find By Type Value Response, §3.4.3.4. */
export function areFoundEntries(response: Buffer, request: Buffer): boolean {
  return isInOrder(entriesOf(response.subarray(1), 4), rangeOf(request), twoHandles);
}

/** Read By Type Response, §3.4.4.2. */
export function areTypeEntries(response: Buffer, request: Buffer): boolean {
  const length = response[1] ?? 0;
  const type = request.length === 7 ? request.readUInt16LE(5) : undefined;
  const lengths = type === undefined ? undefined : ENTRY_BYTES.get(type);
  if (length < 2 || lengths?.includes(length) === false) return false;
  const spans = type === CHARACTERISTIC ? declaration : oneHandle;
  return isInOrder(entriesOf(response.subarray(2), length), rangeOf(request), spans);
}

/** Read By Group Type Response, §3.4.4.10: services, which is what noble asks for. */
export function areGroupEntries(response: Buffer, request: Buffer): boolean {
  const length = response[1] ?? 0;
  if (length !== 6 && length !== 20) return false;
  return isInOrder(entriesOf(response.subarray(2), length), rangeOf(request), twoHandles);
}

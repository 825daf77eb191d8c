/** What the process that scans a store says, in this order; 'wrong' at any time, and nothing after it. */
const KINDS = ['head', 'pools', 'rows', 'whole', 'wrong'] as const

export interface Frame {
  kind: (typeof KINDS)[number]
  bytes: Buffer
}

/** The descriptor that it writes to: after the three that every process has, and that of messages. */
export const SCAN_PIPE = 4

/** A byte for the kind, four for the length. */
const HEADER = 5

/** A frame, in two parts. */
export function encodeFrame(kind: Frame['kind'], bytes: Uint8Array): [Uint8Array, Uint8Array] {
  const header = Buffer.alloc(HEADER)
  header[0] = KINDS.indexOf(kind)
  header.writeUInt32LE(bytes.length, 1)
  return [header, bytes]
}

/** The whole frames that come out of a pipe. What is left of one where it ends is dropped. */
export async function* decodeFrames(pipe: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of pipe) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= HEADER) {
      const end = HEADER + rest.readUInt32LE(1)
      if (rest.length < end) break
      yield { kind: KINDS[rest[0] as number] ?? 'wrong', bytes: rest.subarray(HEADER, end) }
      rest = rest.subarray(end)
    }
  }
}

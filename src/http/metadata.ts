import { Type } from 'typebox'
import type { Metadata } from '../engine.ts'
import { EXAMPLE_METADATA } from './example-key.ts'
import { InvalidRequest } from './problems.ts'
import { nullable } from './schema.ts'

const MAX_METADATA_BYTES = 1024

// Not Type.Record, which checks no name that holds the end of a line.
const flat = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string' },
  description: `A flat object of strings, at most ${MAX_METADATA_BYTES} bytes as compact JSON.`,
  examples: [EXAMPLE_METADATA]
})
export const metadata = { ...flat, title: 'Metadata' }
export const nullableMetadata = nullable(flat)

/** Refuses metadata that is too large. */
export function assertMetadata(metadata: Metadata | null | undefined, pointer: string): void {
  if (metadata && Buffer.byteLength(JSON.stringify(metadata)) > MAX_METADATA_BYTES) {
    throw new InvalidRequest([
      { in: 'body', pointer, detail: `must be at most ${MAX_METADATA_BYTES} bytes as compact JSON` }
    ])
  }
}

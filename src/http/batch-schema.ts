import { type TSchema, Type } from 'typebox'
import type { Operation } from '../engine.ts'
import { EXAMPLE_ID } from './example-key.ts'
import { cooldownMs, fence, holder, keepAlive, leaseMs } from './lease-schema.ts'
import { closed } from './schema.ts'

const MAX_OPERATIONS = 1000

const NAMES = ['acquire', 'release', 'renew', 'keepAlive', 'activate', 'delete', 'unblock'] as const
const lease = Type.String({ description: 'The id of the lease.' })
const id = Type.String({ description: 'The public id of the key.' })
/** `keepAlive`: KeepAliveOperation. */
const titleOf = (op: string): string => `${op.charAt(0).toUpperCase()}${op.slice(1)}Operation`
const operation = (op: Operation['op'], members: Record<string, TSchema>) =>
  Type.Object({ op: Type.Literal(op), ...members }, { ...closed, title: titleOf(op) })

const OPERATIONS = {
  acquire: { leaseMs: Type.Optional(leaseMs), holder: Type.Optional(holder) },
  release: { lease, cooldownMs: Type.Optional(cooldownMs) },
  renew: { lease, leaseMs: Type.Optional(leaseMs), keepAlive: Type.Optional(keepAlive) },
  keepAlive: { id },
  activate: { id },
  delete: { id },
  unblock: { id, fence: Type.Optional(fence) }
} satisfies Record<Operation['op'], Record<string, TSchema>>

const operations = Type.Unsafe<Operation[]>({
  type: 'array',
  minItems: 1,
  maxItems: MAX_OPERATIONS,
  items: {
    title: 'Operation',
    type: 'object',
    oneOf: NAMES.map(op => operation(op, OPERATIONS[op])),
    discriminator: {
      propertyName: 'op',
      mapping: Object.fromEntries(NAMES.map(op => [op, `#/components/schemas/${titleOf(op)}`]))
    }
  }
})

export const batch = Type.Object(
  { operations },
  {
    ...closed,
    title: 'Batch',
    examples: [
      {
        operations: [
          { op: 'acquire', holder: 'worker-1' },
          { op: 'keepAlive', id: EXAMPLE_ID },
          { op: 'activate', id: EXAMPLE_ID },
          { op: 'unblock', id: EXAMPLE_ID }
        ]
      }
    ]
  }
)

export const results = Type.Unsafe<{ results: { status: number; body: object | null }[] }>({
  title: 'BatchResults',
  type: 'object',
  required: ['results'],
  properties: {
    results: {
      type: 'array',
      items: {
        title: 'BatchResult',
        type: 'object',
        required: ['status', 'body'],
        properties: {
          status: { type: 'integer', description: 'The status that the single call would have given.' },
          body: {
            description:
              'A Lease after acquire and renew, a Key after keepAlive and activate, a Problem where it is refused, else null.',
            oneOf: [{ $ref: 'Lease#' }, { $ref: 'Key#' }, { $ref: 'Problem#' }, { type: 'null' }]
          }
        }
      }
    }
  }
})

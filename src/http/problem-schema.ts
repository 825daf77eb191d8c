import { Type } from 'typebox'
import { PROBLEMS, type ProblemCode } from './problems.ts'
import { named } from './schema.ts'

/** What every problem has. The document adds a schema for each code, with members of its own. */
export const problemSchema = named(
  'Problem',
  Type.Object(
    {
      type: Type.String({ format: 'uri-reference', description: 'Where the code is explained.' }),
      title: Type.String({ description: 'The code in words. May change.' }),
      status: Type.Integer({ description: 'The status of the answer.' }),
      detail: Type.String({ description: 'What was wrong this time, and what to do. May change.' }),
      code: Type.String({ enum: Object.keys(PROBLEMS), description: 'Stable; for programs.' }),
      instance: Type.String({ description: 'The id of the request, as in X-Request-Id.' })
    },
    { description: 'RFC 9457.' }
  )
)

/** What any request may meet before it reaches its call. */
const EDGE: readonly ProblemCode[] = [
  'invalid-request',
  'unauthorized',
  'forbidden',
  'request-timeout',
  'payload-too-large',
  'uri-too-long',
  'unsupported-media-type',
  'expectation-failed',
  'too-many-requests',
  'headers-too-large',
  'internal',
  'overloaded',
  'draining'
]

/** The refused answers of one status that a call may give. */
export interface RefusedResponse {
  description: string
  /** Empty, so that Fastify compiles nothing: problems are sent as text. The document has them by their codes. */
  content: object
  codes: readonly ProblemCode[]
}

/** The responses for refused calls of an engine: those named, and those that any call may give. */
export function refusals(...codes: ProblemCode[]): Record<number, RefusedResponse> {
  return edgeRefusals(...codes, 'not-ready', 'storage-unavailable')
}

/** The responses for refused calls that ask no engine. */
export function edgeRefusals(...codes: ProblemCode[]): Record<number, RefusedResponse> {
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of new Set([...codes, ...EDGE])) {
    const { status } = PROBLEMS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, group]) => [status, { description: describe(group), content: {}, codes: group }])
  )
}

function describe(codes: readonly ProblemCode[]): string {
  return codes.map(code => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' ')
}

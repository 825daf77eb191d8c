import { Type } from 'typebox'
import { countsRef, sizeOfKeyspace } from './pool-schema.ts'
import { PROBLEMS, PROBLEM_TYPE, type ProblemCode } from './problems.ts'
import { countSchema, named } from './schema.ts'

export const problemSchema = named(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'Where the code is explained.' }),
      title: Type.String(),
      status: Type.Integer(),
      detail: Type.String(),
      code: Type.String({ enum: Object.keys(PROBLEMS), description: 'Stable; for programs.' }),
      instance: Type.String({ description: 'The id of the request, as in X-Request-Id.' }),
      errors: Type.Optional(
        Type.Array(
          Type.Object({
            in: Type.String({ enum: ['body', 'query', 'path', 'header'] }),
            pointer: Type.String(),
            detail: Type.String()
          }),
          { maxItems: 20 }
        )
      ),
      reason: Type.Optional(Type.String({ enum: ['pool-empty', 'all-held'] })),
      reasons: Type.Optional(Type.Array(Type.String())),
      retryAfterMs: Type.Optional(countSchema('An estimate, in milliseconds.')),
      counts: Type.Optional(countsRef),
      indexes: Type.Optional(Type.Array(Type.Integer())),
      remaining: Type.Optional(sizeOfKeyspace('How many keys are unused.'))
    },
    { description: 'RFC 9457.' }
  )
)

/** What any call may meet, whatever it does. */
const ALWAYS: ProblemCode[] = [
  'invalid-request',
  'unauthorized',
  'forbidden',
  'request-timeout',
  'payload-too-large',
  'uri-too-long',
  'unsupported-media-type',
  'expectation-failed',
  'headers-too-large',
  'internal',
  'draining'
]

/** The responses for refused calls: those named, and those that any call may give. */
export function refusals(...codes: ProblemCode[]): Record<number, object> {
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of [...codes, ...ALWAYS]) {
    const { status } = PROBLEMS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, group]) => [
        status,
        {
          description: group.map(code => `\`${code}\`: ${PROBLEMS[code].title}`).join('. '),
          content: { [PROBLEM_TYPE]: { schema: { $ref: 'Problem#' }, example: exampleOf(group[0] as ProblemCode) } }
        }
      ])
  )
}

function exampleOf(code: ProblemCode): object {
  const { status, title, about } = PROBLEMS[code]
  return { type: `/problems/${code}`, title, status, detail: about, code, instance: 'a-request-id' }
}

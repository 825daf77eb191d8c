import { Type } from 'typebox'
import { type ProblemCode, PROBLEMS, PROBLEM_TYPE, problem } from './problems.ts'
import { exampleCounts } from './examples.ts'
import { sizeOfKeyspace } from './pool-schema.ts'
import { type RefusedResponse } from './problem-schema.ts'
import { countSchema } from './schema.ts'

interface OwnMembers {
  properties: Record<string, object>
  required: string[]
  example: object
}

const own = (properties: Record<string, object>, example: object, required = Object.keys(properties)): OwnMembers => ({
  properties,
  required,
  example
})

const indexes = Type.Array(Type.Integer({ minimum: 0 }), { description: 'Where in `keys` they stand, from 0.' })
const reasons = Type.Array(Type.String(), { description: 'Why, in words; of /readyz only.' })

/** The members that problems have besides those of all. */
const OWN: Partial<Record<ProblemCode, OwnMembers>> = {
  'invalid-request': own(
    {
      errors: Type.Array(
        Type.Object(
          {
            in: Type.String({ enum: ['body', 'query', 'path', 'header'] }),
            pointer: Type.String({ description: 'A JSON pointer into the body, or to the parameter.' }),
            detail: Type.String()
          },
          { title: 'RequestError' }
        ),
        { maxItems: 20 }
      )
    },
    { errors: [{ in: 'body', pointer: '/count', detail: 'must be >= 1' }] }
  ),
  'no-free-key': own(
    {
      reason: Type.String({ enum: ['pool-empty', 'all-held'] }),
      retryAfterMs: countSchema(
        'An estimate: the time to the earliest end of a lease or a cooling, in milliseconds. Absent where none is pending.'
      ),
      counts: { $ref: '#/components/schemas/Counts' }
    },
    { reason: 'all-held', retryAfterMs: 41_500, counts: exampleCounts },
    ['reason', 'counts']
  ),
  'key-exists': own({ indexes }, { indexes: [0] }),
  'key-retired': own({ indexes }, { indexes: [0] }),
  'keyspace-exhausted': own({ remaining: sizeOfKeyspace('How many keys are unused.') }, { remaining: 7 }),
  'not-ready': own({ reasons }, { reasons: ['the sweep is 2,100 ms behind'] }, []),
  draining: own({ reasons }, {}, [])
}

const CODES = Object.keys(PROBLEMS) as ProblemCode[]

/** `no-free-key`: NoFreeKey. */
const nameOf = (code: ProblemCode): string => code.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())
const schemaRef = (code: ProblemCode): string => `#/components/schemas/${nameOf(code)}Problem`

/** A schema for each code, by name. */
export function problemSchemas(): Record<string, object> {
  return Object.fromEntries(
    CODES.map(code => {
      const { status, about } = PROBLEMS[code]
      const { properties = {}, required = [] } = OWN[code] ?? {}
      return [
        `${nameOf(code)}Problem`,
        {
          description: about,
          type: 'object',
          allOf: [{ $ref: '#/components/schemas/Problem' }],
          // A copy: whoever completes the document moves parts of it.
          properties: structuredClone({ code: { const: code }, status: { const: status }, ...properties }),
          required: ['code', 'status', ...required]
        }
      ]
    })
  )
}

/** An example of each code, by code. */
export function problemExamples(): Record<string, object> {
  return Object.fromEntries(
    CODES.map(code => {
      const { title, about } = PROBLEMS[code]
      return [code, { summary: title, value: problem(code, 'a-request-id', about, OWN[code]?.example) }]
    })
  )
}

/** The name of a group of problems that one status may mean. */
export function responseName(codes: readonly ProblemCode[]): string {
  return codes.map(nameOf).join('Or')
}

/** The response of a group, told once for all calls that may give it. */
export function problemResponse({ description, codes }: Pick<RefusedResponse, 'description' | 'codes'>): object {
  const [only, ...more] = codes as [ProblemCode, ...ProblemCode[]]
  const schema =
    more.length === 0
      ? { $ref: schemaRef(only) }
      : {
          oneOf: codes.map(code => ({ $ref: schemaRef(code) })),
          discriminator: {
            propertyName: 'code',
            mapping: Object.fromEntries(codes.map(code => [code, schemaRef(code)]))
          }
        }
  const examples = Object.fromEntries(codes.map(code => [code, { $ref: `#/components/examples/${code}` }]))
  const retries = codes.some(code => code === 'no-free-key' || [429, 503].includes(PROBLEMS[code].status))
  return {
    description,
    headers: {
      ...(codes.includes('method-not-allowed') ? { Allow: { $ref: '#/components/headers/Allow' } } : {}),
      ...(retries ? { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } : {})
    },
    content: { [PROBLEM_TYPE]: { schema, examples } }
  }
}

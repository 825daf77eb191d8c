import type { Test } from 'tap'
import type { Answer } from './create-service.ts'

/** The table of the contract, but for what is not implemented yet. */
export const STATUS_OF = {
  'invalid-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  'unknown-pool': 404,
  'unknown-key': 404,
  'no-free-key': 404,
  'method-not-allowed': 405,
  'request-timeout': 408,
  'key-not-leased': 409,
  'key-exists': 409,
  'key-retired': 409,
  'keyspace-exhausted': 409,
  'pool-full': 409,
  'too-many-pools': 409,
  'policy-locked': 409,
  'pool-protected': 409,
  'max-hold-reached': 409,
  'lease-lost': 410,
  'payload-too-large': 413,
  'uri-too-long': 414,
  'unsupported-media-type': 415,
  'expectation-failed': 417,
  'idempotency-key-reused': 422,
  'too-many-requests': 429,
  'headers-too-large': 431,
  internal: 500,
  overloaded: 503,
  'storage-unavailable': 503,
  draining: 503,
  'not-ready': 503
} as const

export type Code = keyof typeof STATUS_OF

const COMMON = ['type', 'title', 'status', 'detail', 'code', 'instance']

/** Checks all that every problem has, and that it has these members of its own and no others. */
export function refused(t: Test, answer: Answer, code: Code, members: object = {}): void {
  const { status, headers, type, text } = answer
  const problem = (answer.body ?? {}) as Record<string, unknown>
  const { title, detail } = problem
  t.strictSame(
    {
      status,
      type,
      cacheControl: headers['cache-control'],
      retryAfter: (status !== 503 && status !== 429) || /^[1-9]\d*$/.test(headers['retry-after'] ?? ''),
      members: Object.keys(problem).sort(),
      common: {
        ...problem,
        title: typeof title === 'string' && title !== '',
        detail: typeof detail === 'string' && detail !== ''
      }
    },
    {
      status: STATUS_OF[code],
      type: 'application/problem+json',
      cacheControl: 'no-store',
      retryAfter: true,
      members: [...COMMON, ...Object.keys(members)].sort(),
      common: {
        ...problem,
        type: `/problems/${code}`,
        title: true,
        status: STATUS_OF[code],
        detail: true,
        code,
        instance: headers['x-request-id']
      }
    },
    `${code}: ${text}`
  )
  if (Object.keys(members).length > 0) t.match(problem, members, text)
}

/** Checks a refusal of a malformed request: where each of its errors is. */
export function invalid(
  t: Test,
  answer: Answer,
  where: 'body' | 'query' | 'path' | 'header',
  ...pointers: string[]
): void {
  refused(t, answer, 'invalid-request', { errors: Array })
  const errors = (answer.body?.errors ?? []) as { in: string; pointer: string; detail: string }[]
  t.strictSame(
    errors.map(({ detail, ...error }) => ({ ...error, detail: typeof detail === 'string' && detail !== '' })),
    pointers.map(pointer => ({ in: where, pointer, detail: true })),
    answer.text
  )
}

import t from 'tap'
import { refusals } from '../../src/http/problem-schema.ts'

t.test('refusals of one status stand together, with those that any call may meet', async t => {
  const responses = refusals('unknown-pool', 'no-free-key') as Record<number, { description: string; content: object }>
  t.match(responses[404]?.description, /unknown-pool.*no-free-key/)
  t.strictSame(Object.keys(responses).map(Number), [400, 401, 403, 404, 408, 413, 414, 415, 417, 431, 500, 503])
  for (const { content } of Object.values(responses)) {
    t.match(content, { 'application/problem+json': { schema: { $ref: 'Problem#' } } })
  }
})

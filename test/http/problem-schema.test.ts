import t from 'tap'
import { edgeRefusals, refusals } from '../../src/http/problem-schema.ts'
import { PROBLEMS } from '../../src/http/problems.ts'

t.test('refusals of one status stand together, with those that any call may meet', async t => {
  const responses = refusals('unknown-pool', 'no-free-key')
  t.match(responses[404]?.description, /unknown-pool.*no-free-key/)
  t.strictSame(Object.keys(responses).map(Number), [400, 401, 403, 404, 408, 413, 414, 415, 417, 429, 431, 500, 503])
  t.strictSame(
    Object.entries(responses).map(([status, { codes }]) => [
      Number(status),
      codes.every(code => PROBLEMS[code].status === Number(status))
    ]),
    Object.keys(responses).map(status => [Number(status), true])
  )
  t.strictSame(responses[404]?.codes, ['unknown-pool', 'no-free-key'])
})

t.test('a call that asks no engine meets no fault of one', async t => {
  t.match(refusals()[503]?.codes, ['not-ready', 'storage-unavailable', 'overloaded', 'draining'])
  t.match(edgeRefusals()[503]?.codes, ['overloaded', 'draining'])
})

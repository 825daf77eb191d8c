import t from 'tap'
import { InvalidRequest, invalidDetail, problem, PROBLEMS, type ProblemCode } from '../../src/http/problems.ts'
import { STATUS_OF } from '../support/problems.ts'

const error = (pointer: string) => ({ in: 'body' as const, pointer, detail: 'is wrong' })

t.test('codes and statuses are those of the contract', async t => {
  const statuses = Object.entries(PROBLEMS).map(([code, { status }]) => [code, status])
  t.strictSame(Object.fromEntries(statuses), STATUS_OF)
})

t.test('a problem has the members of RFC 9457, and its own', async t => {
  for (const code of Object.keys(PROBLEMS) as ProblemCode[]) {
    t.strictSame(problem(code, 'request-1', 'Why.', { own: 5 }), {
      type: `/problems/${code}`,
      title: PROBLEMS[code].title,
      status: STATUS_OF[code],
      detail: 'Why.',
      code,
      instance: 'request-1',
      own: 5
    })
  }
  t.strictSame(Object.keys(problem('internal', 'x', 'y')), ['type', 'title', 'status', 'detail', 'code', 'instance'])
})

t.test('at most twenty errors are told', async t => {
  t.equal(new InvalidRequest(Array.from({ length: 21 }, () => error('/a'))).errors.length, 20)
  t.strictSame(new InvalidRequest([error('/a')]).errors, [error('/a')])
})

t.test('the detail names the first error', async t => {
  t.equal(invalidDetail([error('/a/b'), error('/c')]), 'In the body, /a/b: is wrong.')
  t.equal(invalidDetail([error('')]), 'In the body: is wrong.')
  t.match(invalidDetail([]), /\w/)
})

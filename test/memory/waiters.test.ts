import t from 'tap'
import type { LeaseView } from '../../src/engine.ts'
import { type AcquireAnswer, type Waiter, Waiters } from '../../src/memory/waiters.ts'

const LEASE = { id: 'a.1' } as LeaseView

t.test('those who wait stand in the order in which they came', async t => {
  const waiters = new Waiters()
  t.equal(waiters.first, undefined)
  const { waiter: first, answer } = waiters.wait({ holder: 'first' }, true)
  const { waiter: second } = waiters.wait({ holder: 'second' }, true)
  t.equal(waiters.first, first)
  t.equal(waiters.size, 2)

  waiters.settle(first, LEASE)
  t.equal(await answer, LEASE)
  t.equal(waiters.first, second)
  waiters.settle(second, LEASE)
  t.equal(waiters.first, undefined)
  t.equal(waiters.size, 0)
})

t.test('whoever loses patience keeps the place in the line', async t => {
  const waiters = new Waiters()
  const { waiter: patient } = waiters.wait({}, true)
  const { waiter: impatient } = waiters.wait({}, false)
  t.equal(waiters.first, patient)
  t.equal(waiters.firstImpatient, impatient)
  waiters.settle(impatient, LEASE)
  t.equal(waiters.firstImpatient, undefined)

  waiters.losePatience(patient)
  t.equal(waiters.first, patient)
  t.equal(waiters.firstImpatient, patient)
})

t.test('only the first answer counts, and it takes the timer back', async t => {
  const waiters = new Waiters()
  let cancelled = 0
  const { waiter, answer } = waiters.wait({}, true)
  waiter.timer = { cancel: () => cancelled++ }
  waiters.settle(waiter, LEASE)
  waiters.settle(waiter, { refusal: 'draining' })
  t.equal(await answer, LEASE)
  t.ok(cancelled > 0)
})

t.test('all who wait can be refused in turn', async t => {
  const waiters = new Waiters()
  const answers = [true, false, true].map(patient => waiters.wait({}, patient).answer)
  for (let waiter = waiters.first; waiter !== undefined; waiter = waiters.first) {
    waiters.settle(waiter, { refusal: 'draining' })
  }
  t.strictSame(
    await Promise.all(answers),
    answers.map(() => ({ refusal: 'draining' }))
  )
  t.equal(waiters.size, 0)
  t.equal(waiters.firstImpatient, undefined)
})

t.test('an answer that is not awaited is kept', async t => {
  const waiters = new Waiters()
  const told: AcquireAnswer[] = []
  const waiter: Waiter = waiters.wait({}, true).waiter
  waiter.answer = answer => void told.push(answer)
  waiters.settle(waiter, LEASE)
  t.strictSame(told, [LEASE])
})

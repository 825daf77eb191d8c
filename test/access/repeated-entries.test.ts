import t from 'tap'
import type { AuditEntry } from '../../src/access/audit-entry.ts'
import { MAX_CALLERS, RepeatedEntries, SUM_MS } from '../../src/access/repeated-entries.ts'
import { ManualClock } from '../support/manual-clock.ts'

function createSums() {
  const clock = new ManualClock()
  const written: AuditEntry[] = []
  const sums = new RepeatedEntries(clock, entry => written.push(entry))
  let requests = 0
  const add = (remote: string, outcome = 'unauthorized', token: string | null = null) => {
    const requestId = `r-${++requests}`
    sums.add({ token, remote, verb: 'acquireLease', pool: null, id: null, fence: null, outcome, requestId })
  }
  return { clock, sums, written, add }
}

t.test('the first is told at once, and those that follow within a minute by their number', async t => {
  const { clock, written, add } = createSums()
  add('192.0.2.1')
  t.match(written, [{ remote: '192.0.2.1', verb: 'acquireLease', requestId: 'r-1', times: undefined }])
  for (let i = 0; i < 1000; i++) add('192.0.2.1')
  clock.advance(SUM_MS - 1)
  t.equal(written.length, 1)
  clock.advance(1)
  const nothing = { verb: null, pool: null, id: null, fence: null, requestId: null }
  t.strictSame(written.slice(1), [
    { token: null, remote: '192.0.2.1', ...nothing, outcome: 'unauthorized', times: 1000 }
  ])
})

t.test('a minute later the next is told at once again', async t => {
  const { clock, written, add } = createSums()
  add('192.0.2.1')
  clock.advance(SUM_MS)
  t.equal(written.length, 1, 'one that came alone has no sum')
  t.equal(clock.timers, 0)
  add('192.0.2.1')
  t.equal(written.length, 2)
})

t.test('callers and outcomes are summed up apart', async t => {
  const { sums, written, add } = createSums()
  for (let i = 0; i < 3; i++) {
    add('192.0.2.1')
    add('192.0.2.2')
    add('192.0.2.1', 'too-many-requests')
    add('192.0.2.1', 'too-many-requests', 'ci')
    add('192.0.2.1', 'too-many-requests', 'null')
  }
  t.equal(written.length, 5)
  sums.flush()
  t.match(written.slice(5), [
    { token: null, remote: '192.0.2.1', outcome: 'unauthorized', times: 2 },
    { token: null, remote: '192.0.2.2', outcome: 'unauthorized', times: 2 },
    { token: null, remote: '192.0.2.1', outcome: 'too-many-requests', times: 2 },
    { token: 'ci', remote: '192.0.2.1', outcome: 'too-many-requests', times: 2 },
    { token: 'null', remote: '192.0.2.1', outcome: 'too-many-requests', times: 2 }
  ])
})

t.test('however many callers there are, the lines are few', async t => {
  const { clock, written, add } = createSums()
  for (let round = 0; round < 2; round++) for (let i = 0; i < 1000; i++) add(`198.51.100.${i}`)
  t.equal(written.length, MAX_CALLERS + 1, 'one for all that are beyond')
  clock.advance(SUM_MS)
  t.equal(written.length, 2 * (MAX_CALLERS + 1))
  const others = 1000 - MAX_CALLERS
  t.match(written.at(-1), { token: null, remote: null, outcome: 'unauthorized', times: 2 * others - 1 })
  const told = written.reduce((sum, { times = 1 }) => sum + times, 0)
  t.equal(told, 2000, 'none is forgotten')
})

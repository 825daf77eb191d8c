import t from 'tap'
import { KEPT_MS } from '../../src/engine.ts'
import { KeptLimit } from '../../src/memory/kept-limit.ts'
import { createResultsByAge } from '../support/kept-results.ts'
import { ManualClock } from '../support/manual-clock.ts'

t.test('beyond the limit older results go', async t => {
  const { call, results, saved } = createResultsByAge({ limit: new KeptLimit(3) })
  for (const scope of ['a', 'b', 'c', 'd', 'e']) {
    call(scope, scope)
    t.equal(call(scope, 'anew'), `${scope} again`, 'the newest is kept')
    t.ok(results.size <= 3)
  }
  t.equal(results.size, 3)
  t.strictSame([...saved.keys()], ['c', 'd', 'e'])
})

t.test('the limit is one of weight', async t => {
  const { call, results, told } = createResultsByAge({ limit: new KeptLimit(10) })
  for (const scope of ['a', 'b', 'c', 'd']) call(scope, 'four')
  t.equal(results.size, 2)
  call('e', 'elevencount')
  t.equal(results.size, 0)
  t.strictSame(told.slice(-4), ['kept e', 'dropped c', 'dropped d', 'dropped e'])
  call('f', 'four')
  t.equal(results.size, 1)
})

t.test('far beyond the limit it is still the oldest that go', async t => {
  const { call, results, calls } = createResultsByAge({ limit: new KeptLimit(300) })
  for (let i = 0; i < 1000; i++) call(`r${i}`, '1')
  t.equal(results.size, 300)
  for (let i = 700; i < 1000; i++) call(`r${i}`, '2')
  t.equal(calls(), 1000, 'the newest 300 are kept')
  call('r699', '2')
  t.equal(calls(), 1001)
})

t.test('beyond a common limit, whoever keeps most loses its oldest', async t => {
  const limit = new KeptLimit(10)
  const [few, many] = [createResultsByAge({ limit }), createResultsByAge({ limit })]
  few.call('a', '1')
  few.call('b', '2')
  for (let i = 0; i < 100; i++) many.call(`r${i}`, '3')
  t.equal(few.call('a', 'anew'), '1 again')
  t.equal(few.call('b', 'anew'), '2 again')
  t.equal(many.results.size, 8)
  few.call('c', '456')
  t.strictSame([few.results.size, many.results.size], [3, 5])
  t.equal(many.call('r95', 'anew'), '3 again')
  few.call('d', '7890')
  t.strictSame([few.results.size, many.results.size], [1, 5], 'of whoever keeps most by then')
})

t.test('the results of who has ended make room', async t => {
  const limit = new KeptLimit(3)
  const [one, other] = [createResultsByAge({ limit }), createResultsByAge({ limit })]
  one.call('a', '123')
  one.results.clear()
  t.strictSame([one.results.size, one.results.weight, one.results.nextEnd], [0, 0, Infinity])
  other.call('a', '123')
  t.equal(other.call('a', 'anew'), '123 again')
  t.strictSame(one.told, ['kept a'])
  t.equal(one.call('a', '1'), '1')
})

t.test('a result ends after its time, not before', async t => {
  const { call, clock, results, told } = createResultsByAge()
  call('a', 'one')
  t.equal(results.nextEnd, clock.now() + KEPT_MS)
  clock.advance(KEPT_MS - 1)
  t.equal(results.sweep(10), false)
  t.equal(call('a', 'two', 'the same'), 'one again')
  clock.advance(1)
  t.equal(call('a', 'two', 'different'), 'two', 'whether it was swept or not')
  t.strictSame(told, ['kept a', 'dropped a', 'kept a'])
  t.equal(results.nextEnd, clock.now() + KEPT_MS)
})

t.test('results that have ended are dropped in slices', async t => {
  const { call, clock, results, saved } = createResultsByAge()
  for (let i = 0; i < 25; i++) call(`r${i}`, 'one')
  clock.advance(1)
  call('later', 'one')
  clock.advance(KEPT_MS - 1)
  t.strictSame([results.sweep(10), results.size], [true, 16])
  t.strictSame([results.sweep(10), results.size], [true, 6])
  t.strictSame([results.sweep(10), results.size], [false, 1])
  t.strictSame([...saved.keys()], ['later'])
  t.equal(results.weight, 3)
})

t.test('a sweep that ends with its limit knows that nothing is left', async t => {
  const { call, clock, results } = createResultsByAge()
  for (let i = 0; i < 10; i++) call(`r${i}`, 'one')
  clock.advance(KEPT_MS)
  t.strictSame([results.sweep(10), results.size], [false, 0])
})

t.test('a result that is restored is given to retries, without a word', async t => {
  const clock = new ManualClock()
  const { results, call, calls, told } = createResultsByAge({ clock })
  const until = clock.now() + 1000
  results.restore('a', { fingerprint: 'the same', until, result: ['x'] })
  t.equal(call('a', 'anew'), 'x again')
  results.restore('a', { fingerprint: 'the same', until, result: ['y', 'z'] })
  t.equal(call('a', 'anew'), 'yz again')
  t.strictSame([results.size, results.weight], [1, 2])
  results.restore('a', undefined)
  results.restore('b', undefined)
  t.strictSame([results.size, results.weight], [0, 0])
  results.restore('a', { fingerprint: 'the same', until, result: ['x'] })
  t.strictSame([calls(), told], [0, []])
  clock.advance(1000)
  t.equal(call('a', 'anew'), 'anew')
})

t.test('restored results are bounded as others are, in number and in time', async t => {
  const clock = new ManualClock()
  const { results, told } = createResultsByAge({ clock, limit: new KeptLimit(2) })
  for (const scope of ['a', 'b', 'c']) {
    results.restore(scope, { fingerprint: 'the same', until: clock.now() + 10 * KEPT_MS, result: ['x'] })
  }
  t.strictSame(told, ['dropped a'])
  clock.advance(KEPT_MS)
  results.sweep(10)
  t.equal(results.size, 0)
})

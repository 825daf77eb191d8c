import t from 'tap'
import { createResultsByLook } from '../support/kept-results.ts'

t.test('what has ended is dropped along the way: the table stays within twice what lives', async t => {
  const { call, ended, results, saved } = createResultsByLook()
  const LIVING = 100
  let largest = 0
  for (let i = 0; i < 20_000; i++) {
    call(`scope-${i}`, `result-${i}`)
    if (i >= LIVING) ended.add(`result-${i - LIVING}`)
    largest = Math.max(largest, results.size)
  }
  t.ok(largest <= 2 * LIVING + 2, `${largest}`)
  t.equal(saved.size, results.size)
  for (let i = 20_000 - LIVING; i < 20_000; i++) {
    if (call(`scope-${i}`, 'anew') !== `result-${i} again`) throw new Error(`${i} was lost`)
  }
})

t.test('after a peak the table shrinks with the calls that follow', async t => {
  const { call, ended, results } = createResultsByLook()
  for (let i = 0; i < 1000; i++) call(`peak-${i}`, `peak-${i}`)
  t.equal(results.size, 1000)
  for (let i = 0; i < 1000; i++) ended.add(`peak-${i}`)
  for (let i = 0; i < 1000; i++) {
    call(`later-${i}`, `later-${i}`)
    ended.add(`later-${i}`)
  }
  t.ok(results.size <= 4, `${results.size}`)
})

t.test('each new result looks at two old ones', async t => {
  const { call, ended, results } = createResultsByLook()
  for (let i = 0; i < 100; i++) call(`old-${i}`, `old-${i}`)
  for (let i = 0; i < 100; i++) ended.add(`old-${i}`)
  for (let i = 1; i <= 50; i++) {
    call(`new-${i}`, `new-${i}`)
    t.equal(results.size, 100 - i)
  }
})

t.test('what lives is looked at again only after all others', async t => {
  const { call, ended, results } = createResultsByLook()
  for (const scope of ['a', 'b', 'c', 'd']) call(scope, scope)
  for (const scope of ['c', 'd']) ended.add(scope)
  // The turn is c's, then a's, b's and d's: when d came, a and b were looked at.
  call('e', 'e')
  t.equal(call('a', 'anew'), 'a again')
  t.equal(results.size, 4)
  call('f', 'f')
  t.equal(results.size, 4)
  t.equal(call('a', 'anew'), 'a again')
  t.equal(call('b', 'anew'), 'b again')
})

t.test('a journal learns of what is kept and what has ended', async t => {
  const { call, ended, told, saved } = createResultsByLook()
  call('a', 'one')
  call('a', 'one')
  t.strictSame(saved, new Map([['a', { fingerprint: 'the same', result: 'one' }]]))
  ended.add('one')
  call('b', 'two')
  t.strictSame(told, ['kept a', 'dropped a', 'kept b'])
  ended.add('two')
  call('b', 'three', 'different')
  t.strictSame(told.slice(3), ['dropped b', 'kept b'])
  t.strictSame(saved, new Map([['b', { fingerprint: 'different', result: 'three' }]]))
})

t.test('a result that is restored is given to retries, without a word', async t => {
  const { results, call, calls, told } = createResultsByLook()
  results.restore('a', { fingerprint: 'the same', result: 'one' })
  t.equal(call('a', 'anew'), 'one again')
  results.restore('a', { fingerprint: 'the same', result: 'two' })
  t.equal(call('a', 'anew'), 'two again')
  t.equal(results.size, 1)
  results.restore('a', undefined)
  results.restore('b', undefined)
  t.equal(results.size, 0)
  t.strictSame([calls(), told], [0, []])
  t.equal(call('a', 'anew'), 'anew')
})
